// SPDX-License-Identifier: Apache-2.0
// nRF52: the core always runs at 64 MHz; the crystal makes it exact, and the flash's cache hides its wait states
// (nRF52840 Product Specification v1.7, chapters 5.4 CLOCK and 4.3 NVMC).
#include "driver.h"

#define CLOCK_TASKS_HFCLKSTART REG32(0x40000000u)
#define CLOCK_EVENTS_HFCLKSTARTED REG32(0x40000100u)
#define NVMC_ICACHECNF REG32(0x4001E540u)

#define ICACHECNF_CACHEEN 1u

struct chip chip;

void chip_init(void) {
  NVMC_ICACHECNF = ICACHECNF_CACHEEN;
  CLOCK_EVENTS_HFCLKSTARTED = 0;
  CLOCK_TASKS_HFCLKSTART = 1;
  (void)wait_for(&CLOCK_EVENTS_HFCLKSTARTED, 1u, 1u);
  chip = (struct chip){BOARD_CLOCK_HZ, BOARD_CLOCK_HZ};
}
