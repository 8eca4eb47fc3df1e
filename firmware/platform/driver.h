// SPDX-License-Identifier: Apache-2.0
// What drivers and chips need: the board's constants, and how to wait.
#ifndef MCUNAS_DRIVER_H
#define MCUNAS_DRIVER_H

#include "board.h"
#include "platform.h"

// An emulated core sleeps while it waits for a byte, until the byte's interrupt is pending; it is never taken: PRIMASK
// stays set, as reset leaves it. A real one polls, for a sleeping core may not let a debug probe in.
#if BOARD_SLEEPS
#define NVIC_ENABLE(irq) (REG32(0xE000E100u + (irq) / 32u * 4u) = 1u << (irq) % 32u)
#define NVIC_CLEAR(irq) (REG32(0xE000E280u + (irq) / 32u * 4u) = 1u << (irq) % 32u)
#else
#define NVIC_ENABLE(irq) ((void)(irq))
#define NVIC_CLEAR(irq) ((void)(irq))
#endif

static inline void wait_for_interrupt(void) {
#if BOARD_SLEEPS
  __asm volatile("dsb\n wfi" ::: "memory");
#endif
}

// Bounded: a part that never gets ready must not hang the board before it can say so. 200,000 looks take 50 ms or more
// at any reset clock, several times what crystals and PLLs need.
static inline bool wait_for(volatile uint32_t *reg, uint32_t mask, uint32_t value) {
  for (uint32_t i = 0; i < 200000u; i++)
    if ((*reg & mask) == value)
      return true;
  return false;
}

#endif
