// SPDX-License-Identifier: Apache-2.0
// The core's own cycle counter: DWT CYCCNT of Armv7-M and Armv8-M.
#include "driver.h"

#define DEMCR REG32(0xE000EDFCu)
#define DWT_CTRL REG32(0xE0001000u)
#define DWT_CYCCNT REG32(0xE0001004u)
#define DWT_LAR REG32(0xE0001FB0u)

#define DEMCR_TRCENA (1u << 24)
#define DWT_CTRL_CYCCNTENA 1u
#define LAR_KEY 0xC5ACCE55u  // Cortex-M7 locks its DWT

void timer_start(void) {
  DEMCR |= DEMCR_TRCENA;
  DWT_LAR = LAR_KEY;
  DWT_CYCCNT = 0;
  DWT_CTRL |= DWT_CTRL_CYCCNTENA;
}

uint32_t timer_ticks(void) {
  return DWT_CYCCNT;
}
