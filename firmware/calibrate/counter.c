// SPDX-License-Identifier: Apache-2.0
// Cycle counters of the core, and the board's timer where there is none. Emulators have the registers of the first but
// not always the count, so each is watched before it is believed.
#include "app.h"
#include "calibrate.h"
#include "platform.h"

#define DEMCR REG32(0xE000EDFCu)
#define DWT_CTRL REG32(0xE0001000u)
#define DWT_CYCCNT REG32(0xE0001004u)
#define DWT_LAR REG32(0xE0001FB0u)
#define SYST_CSR REG32(0xE000E010u)
#define SYST_RVR REG32(0xE000E014u)
#define SYST_CVR REG32(0xE000E018u)

#define TRCENA (1u << 24)
#define CYCCNTENA 1u
#define LAR_KEY 0xC5ACCE55u       // Cortex-M7 locks its DWT
#define SYST_CORE_CLOCK 5u        // enabled, from the core's clock, no interrupt
#define SYST_MASK 0x00FFFFFFu

static uint32_t dwt_ticks_of(void (*invoke)(uint8_t *)) {
  const uint32_t start = DWT_CYCCNT;
  invoke(app_arena);
  return DWT_CYCCNT - start;
}

static uint32_t systick_ticks_of(void (*invoke)(uint8_t *)) {
  SYST_CVR = 0;  // any write clears it; the next tick loads SYST_RVR
  const uint32_t start = SYST_CVR;
  invoke(app_arena);
  return (start - SYST_CVR) & SYST_MASK;  // it counts down
}

uint32_t counter_ticks_of(uint32_t counter, void (*invoke)(uint8_t *)) {
  if (counter == COUNTER_TIMER)
    return clock_ticks_of(invoke);
  return counter == COUNTER_DWT ? dwt_ticks_of(invoke) : systick_ticks_of(invoke);
}

static void wait_a_little(uint8_t *arena) {
  (void)arena;
  for (uint32_t i = 0; i < 64u; i++)
    __asm volatile("nop");
}

bool counter_counts(uint32_t counter) {
  switch (counter) {
  case COUNTER_DWT:
#if defined(__ARM_ARCH_6M__)
    return false;  // Armv6-M has no CYCCNT
#else
    DEMCR |= TRCENA;
    DWT_LAR = LAR_KEY;
    DWT_CTRL |= CYCCNTENA;
#endif
    break;
  case COUNTER_SYSTICK:
    SYST_RVR = SYST_MASK;
    SYST_CSR = SYST_CORE_CLOCK;
    break;
  case COUNTER_TIMER:
    break;
  default:
    return false;
  }
  return counter_ticks_of(counter, wait_a_little) != 0u;
}
