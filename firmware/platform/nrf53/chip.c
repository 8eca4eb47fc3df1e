// SPDX-License-Identifier: Apache-2.0
// nRF5340, application core in Secure state: 128 MHz instead of the 64 MHz after reset, and the cache
// (nRF5340 Product Specification v1.3, chapters 4.11 CLOCK and 7.6 CACHE).
#include "driver.h"

#define CACHE_ENABLE REG32(0x50001500u)
#define CLOCK_TASKS_HFCLKSTART REG32(0x50005000u)
#define CLOCK_EVENTS_HFCLKSTARTED REG32(0x50005100u)
#define CLOCK_HFCLKCTRL REG32(0x50005558u)

#define HFCLKCTRL_DIV1 0u

struct chip chip;

void chip_init(void) {
  CACHE_ENABLE = 1;
  CLOCK_HFCLKCTRL = HFCLKCTRL_DIV1;
  CLOCK_EVENTS_HFCLKSTARTED = 0;
  CLOCK_TASKS_HFCLKSTART = 1;
  (void)wait_for(&CLOCK_EVENTS_HFCLKSTARTED, 1u, 1u);
  chip = (struct chip){CLOCK_HFCLKCTRL == HFCLKCTRL_DIV1 ? BOARD_CLOCK_HZ : BOARD_CLOCK_HZ / 2u, 16000000u};
}
