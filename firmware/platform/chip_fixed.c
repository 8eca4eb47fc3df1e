// SPDX-License-Identifier: Apache-2.0
// A chip whose clock runs as the board file says from reset on.
#include "driver.h"

struct chip chip;

void chip_init(void) {
  chip = (struct chip){BOARD_CLOCK_HZ, BOARD_CLOCK_HZ};
}
