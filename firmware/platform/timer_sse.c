// SPDX-License-Identifier: Apache-2.0
// The system counter of SSE-300, through its control frame. Only the lower 32 bits are used.
#include "driver.h"

#define CNTCR REG32(BOARD_TIMER_BASE + 0x0)
#define CNTCV_LOW REG32(BOARD_TIMER_BASE + 0x8)
#define CNTCV_HIGH REG32(BOARD_TIMER_BASE + 0xC)

void timer_start(void) {
  CNTCR = 0;  // the count may only be written while stopped
  CNTCV_LOW = 0;
  CNTCV_HIGH = 0;
  CNTCR = 1;
}

uint32_t timer_ticks(void) {
  return CNTCV_LOW;
}
