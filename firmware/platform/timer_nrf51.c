// SPDX-License-Identifier: Apache-2.0
// TIMER0 of the nRF51 series (the only one with 32 bits), read through capture register 0.
#include "driver.h"

#define TASKS_START REG32(BOARD_TIMER_BASE + 0x000)
#define TASKS_STOP REG32(BOARD_TIMER_BASE + 0x004)
#define TASKS_CLEAR REG32(BOARD_TIMER_BASE + 0x00C)
#define TASKS_CAPTURE0 REG32(BOARD_TIMER_BASE + 0x040)
#define MODE REG32(BOARD_TIMER_BASE + 0x504)
#define BITMODE REG32(BOARD_TIMER_BASE + 0x508)
#define PRESCALER REG32(BOARD_TIMER_BASE + 0x510)
#define CC0 REG32(BOARD_TIMER_BASE + 0x540)

#define BITMODE_32 3u

void timer_start(void) {
  TASKS_STOP = 1;
  TASKS_CLEAR = 1;
  MODE = 0;
  BITMODE = BITMODE_32;
  PRESCALER = 0;
  TASKS_START = 1;
}

uint32_t timer_ticks(void) {
  TASKS_CAPTURE0 = 1;
  return CC0;
}
