// SPDX-License-Identifier: Apache-2.0
// STM32G0: PLL on the internal 16 MHz oscillator, wait states, prefetch and the flash cache
// (RM0444: chapters 3 flash, 5 RCC).
#include "stm32_gpio.h"

#define RCC_CR REG32(0x40021000u)
#define RCC_CFGR REG32(0x40021008u)
#define RCC_PLLCFGR REG32(0x4002100Cu)
#define RCC_IOPENR REG32(0x40021034u)
#define RCC_APBENR1 REG32(0x4002103Cu)
#define RCC_CCIPR REG32(0x40021054u)
#define FLASH_ACR REG32(0x40022000u)

#define GPIOA 0x50000000u
#define CR_PLLON (1u << 24)
#define CR_PLLRDY (1u << 25)
#define PLLCFGR_HSI 2u
#define PLLCFGR_PLLREN (1u << 28)
#define CFGR_SW_PLLR 2u
#define CFGR_SWS (7u << 3)
#define CFGR_SWS_PLLR (2u << 3)
#define ACR_LATENCY 7u
#define ACR_PRFTEN (1u << 8)
#define ACR_ICEN (1u << 9)
#define ACR_DBG_SWEN (1u << 18)  // set after reset: the debug port stays open
#define APBENR1_TIM2 (1u << 0)
#define APBENR1_USART2 (1u << 17)
#define CCIPR_USART2_HSI (2u << 2)

#define HSI_HZ 16000000u
_Static_assert(BOARD_UART_BASE == 0x40004400u, "the console is USART2");

struct chip chip;

static bool clock_up(void) {
  RCC_PLLCFGR = (BOARD_CLOCK_P - 1u) << 29 | PLLCFGR_PLLREN | BOARD_CLOCK_N << 8 | (BOARD_CLOCK_M - 1u) << 4 | PLLCFGR_HSI;
  RCC_CR |= CR_PLLON;
  if (!wait_for(&RCC_CR, CR_PLLRDY, CR_PLLRDY))
    return false;
  FLASH_ACR = ACR_DBG_SWEN | ACR_ICEN | ACR_PRFTEN | BOARD_CLOCK_WAIT_STATES;
  if (!wait_for(&FLASH_ACR, ACR_LATENCY, BOARD_CLOCK_WAIT_STATES))
    return false;
  RCC_CFGR |= CFGR_SW_PLLR;
  return wait_for(&RCC_CFGR, CFGR_SWS, CFGR_SWS_PLLR);
}

void chip_init(void) {
  // The console runs from the internal oscillator, which is on after reset, whatever becomes of the PLL.
  chip = (struct chip){clock_up() ? BOARD_CLOCK_HZ : HSI_HZ, HSI_HZ};
  RCC_CCIPR |= CCIPR_USART2_HSI;
  RCC_APBENR1 |= APBENR1_TIM2 | APBENR1_USART2;
  RCC_IOPENR |= CONSOLE_PORTS;
  gpio_console(GPIOA);
}
