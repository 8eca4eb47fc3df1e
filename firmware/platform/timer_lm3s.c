// SPDX-License-Identifier: Apache-2.0
// The watchdog of the LM3S series as a timer: its only 32-bit counter that can be read at any time. It counts down the
// system clock, and without RESEN it never resets anything.
#include "driver.h"

#define WDTLOAD REG32(BOARD_TIMER_BASE + 0x0u)
#define WDTVALUE REG32(BOARD_TIMER_BASE + 0x4u)
#define WDTCTL REG32(BOARD_TIMER_BASE + 0x8u)

#define WDTCTL_INTEN 1u  // starts it; the interrupt is off in the NVIC

void timer_start(void) {
  WDTCTL = WDTCTL_INTEN;
  WDTLOAD = 0xFFFFFFFFu;  // starts over from there
}

uint32_t timer_ticks(void) {
  return 0xFFFFFFFFu - WDTVALUE;
}
