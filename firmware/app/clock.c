// SPDX-License-Identifier: Apache-2.0
// Time from the platform's 32-bit timer: microseconds for the protocol, raw ticks of one call for counting.
#include "app.h"
#include "board.h"
#include "platform.h"

#define TICKS_PER_US (BOARD_TIMER_HZ / 1000000u)
_Static_assert(TICKS_PER_US * 1000000u == BOARD_TIMER_HZ, "the timer must run at whole megahertz");

static uint64_t elapsed_us;
static uint32_t last_ticks, left_ticks;

void clock_init(void) {
  timer_start();
}

uint64_t clock_us(void) {
  const uint32_t ticks = timer_ticks();
  left_ticks += ticks - last_ticks;
  last_ticks = ticks;
  elapsed_us += left_ticks / TICKS_PER_US;
  left_ticks %= TICKS_PER_US;
  return elapsed_us;
}

uint32_t clock_ticks_of(void (*invoke)(uint8_t *)) {
  // The timer starts from zero, so that its phase against the instructions is always the same.
  (void)clock_us();
  timer_start();
  invoke(app_arena);
  const uint32_t ticks = timer_ticks();
  last_ticks = 0;
  return ticks;
}
