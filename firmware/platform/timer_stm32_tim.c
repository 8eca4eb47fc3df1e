// SPDX-License-Identifier: Apache-2.0
// A 32-bit timer of an STM32 (TIM2), counting every clock of its bus.
#include "driver.h"

#define TIM_CR1 REG32(BOARD_TIMER_BASE + 0x00u)
#define TIM_EGR REG32(BOARD_TIMER_BASE + 0x14u)
#define TIM_CNT REG32(BOARD_TIMER_BASE + 0x24u)
#define TIM_PSC REG32(BOARD_TIMER_BASE + 0x28u)
#define TIM_ARR REG32(BOARD_TIMER_BASE + 0x2Cu)

void timer_start(void) {
  TIM_CR1 = 0;
  TIM_PSC = 0;
  TIM_ARR = 0xFFFFFFFFu;
  TIM_EGR = 1;  // takes the two over
  TIM_CR1 = 1;
  TIM_CNT = 0;
}

uint32_t timer_ticks(void) {
  return TIM_CNT;
}
