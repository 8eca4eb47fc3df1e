// SPDX-License-Identifier: Apache-2.0
// The CMSDK APB timer: counts down from RELOAD at the system clock.
#include "driver.h"

#define CTRL REG32(BOARD_TIMER_BASE + 0x0)
#define VALUE REG32(BOARD_TIMER_BASE + 0x4)
#define RELOAD REG32(BOARD_TIMER_BASE + 0x8)

void timer_start(void) {
  CTRL = 0;
  RELOAD = 0xFFFFFFFFu;
  VALUE = 0xFFFFFFFFu;
  CTRL = 1;
}

uint32_t timer_ticks(void) {
  return 0xFFFFFFFFu - VALUE;
}
