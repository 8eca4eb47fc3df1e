// SPDX-License-Identifier: Apache-2.0
// Caches of a Cortex-M7: invalidated, as reset leaves them undefined, and switched on (Arm DDI0403E B2.2).
#ifndef MCUNAS_CACHE_M7_H
#define MCUNAS_CACHE_M7_H

#include "driver.h"

#define SCB_CCR REG32(0xE000ED14u)
#define SCB_CCSIDR REG32(0xE000ED80u)
#define SCB_CSSELR REG32(0xE000ED84u)
#define SCB_ICIALLU REG32(0xE000EF50u)
#define SCB_DCISW REG32(0xE000EF60u)
#define CCR_DC (1u << 16)
#define CCR_IC (1u << 17)

static inline void cache_on(void) {
  __asm volatile("dsb\n isb" ::: "memory");
  SCB_ICIALLU = 0;
  __asm volatile("dsb\n isb" ::: "memory");
  SCB_CCR |= CCR_IC;
  SCB_CSSELR = 0;
  __asm volatile("dsb" ::: "memory");
  const uint32_t size = SCB_CCSIDR;
  for (uint32_t set = 0; set <= ((size >> 13) & 0x7FFFu); set++)  // 4 ways, lines of 32 bytes
    for (uint32_t way = 0; way <= ((size >> 3) & 0x3FFu); way++)
      SCB_DCISW = way << 30 | set << 5;
  __asm volatile("dsb" ::: "memory");
  SCB_CCR |= CCR_DC;
  __asm volatile("dsb\n isb" ::: "memory");
}

#endif
