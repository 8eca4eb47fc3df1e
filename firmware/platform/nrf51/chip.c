// SPDX-License-Identifier: Apache-2.0
// nRF51: the 16 MHz crystal, which the UART's baud rate needs (nRF51 Series Reference Manual v3.0, chapter 13).
#include "driver.h"

#define CLOCK_TASKS_HFCLKSTART REG32(0x40000000u)
#define CLOCK_EVENTS_HFCLKSTARTED REG32(0x40000100u)

struct chip chip;

void chip_init(void) {
  CLOCK_EVENTS_HFCLKSTARTED = 0;
  CLOCK_TASKS_HFCLKSTART = 1;
  (void)wait_for(&CLOCK_EVENTS_HFCLKSTARTED, 1u, 1u);  // without it the RC oscillator gives the same clock, less exactly
  chip = (struct chip){BOARD_CLOCK_HZ, BOARD_CLOCK_HZ};
}
