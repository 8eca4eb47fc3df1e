// SPDX-License-Identifier: Apache-2.0
// Core cycles on a Cortex-M0+ without a 32-bit cycle counter: SysTick has the lower 24 bits, and the microsecond timer
// says how often it has wrapped.
#include "driver.h"

#define TIMER_TIMERAWL REG32(0x40054028u)
#define SYST_CSR REG32(0xE000E010u)
#define SYST_RVR REG32(0xE000E014u)
#define SYST_CVR REG32(0xE000E018u)

#define SYST_CORE_CLOCK 5u  // enabled, from the core's clock, no interrupt
#define SYST_MASK 0x00FFFFFFu
#define TICKS_PER_US (BOARD_TIMER_HZ / 1000000u)

static uint32_t start_us;

void timer_start(void) {
  SYST_RVR = SYST_MASK;
  SYST_CSR = SYST_CORE_CLOCK;
  SYST_CVR = 0;
  start_us = TIMER_TIMERAWL;
}

uint32_t timer_ticks(void) {
  const uint32_t fine = (SYST_MASK + 1u - SYST_CVR) & SYST_MASK;
  const uint32_t coarse = (TIMER_TIMERAWL - start_us) * TICKS_PER_US;
  // `fine` is right in its 24 bits, `coarse` to within some microseconds.
  uint32_t more = (fine - coarse) & SYST_MASK;
  if (more > SYST_MASK / 2u)
    more -= SYST_MASK + 1u;
  return coarse + more;
}
