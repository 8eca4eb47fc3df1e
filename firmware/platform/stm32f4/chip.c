// SPDX-License-Identifier: Apache-2.0
// STM32F405, F411 and F446: PLL on an external clock, wait states, prefetch and both flash caches
// (RM0090, RM0383 and RM0390: chapters 3.4 flash, 5 PWR, 6 RCC).
#include "stm32_gpio.h"

#define PWR_CR REG32(0x40007000u)
#define PWR_CSR REG32(0x40007004u)
#define RCC_CR REG32(0x40023800u)
#define RCC_PLLCFGR REG32(0x40023804u)
#define RCC_CFGR REG32(0x40023808u)
#define RCC_AHB1ENR REG32(0x40023830u)
#define RCC_APB1ENR REG32(0x40023840u)
#define RCC_APB2ENR REG32(0x40023844u)
#define FLASH_ACR REG32(0x40023C00u)

#define GPIOA 0x40020000u
#define CR_HSEON (1u << 16)
#define CR_HSERDY (1u << 17)
#define CR_HSEBYP (1u << 18)
#define CR_PLLON (1u << 24)
#define CR_PLLRDY (1u << 25)
#define PLLCFGR_HSE (1u << 22)
#define PLLCFGR_Q (8u << 24)
#define PLLCFGR_RESERVED 0x20000000u  // keeps its reset value: on the F446 R = 2
#define CFGR_SW_PLL 2u
#define CFGR_SWS (3u << 2)
#define CFGR_SWS_PLL (2u << 2)
#define ACR_LATENCY 15u
#define ACR_PRFTEN (1u << 8)
#define ACR_ICEN (1u << 9)
#define ACR_DCEN (1u << 10)
#define PWR_CR_ODEN (1u << 16)
#define PWR_CR_ODSWEN (1u << 17)
#define PWR_CSR_ODRDY (1u << 16)
#define PWR_CSR_ODSWRDY (1u << 17)
#define APB1ENR_TIM2 (1u << 0)
#define APB1ENR_USART2 (1u << 17)
#define APB1ENR_USART3 (1u << 18)
#define APB1ENR_PWR (1u << 28)
#define APB2ENR_USART1 (1u << 4)
#define APB2ENR_USART6 (1u << 5)

#define RESET_HZ 16000000u
#define ON_APB2 (BOARD_UART_BASE >= 0x40010000u)
#define UART_DIVIDER (ON_APB2 ? BOARD_CLOCK_APB2 : BOARD_CLOCK_APB1)
#define BUS_FIELD(divider) ((divider) == 1u ? 0u : (divider) == 2u ? 4u : (divider) == 4u ? 5u : 6u)

struct chip chip;

static bool clock_up(void) {
  RCC_APB1ENR |= APB1ENR_PWR;
  PWR_CR |= BOARD_CLOCK_VOLTAGE << 14;
  RCC_CR |= (BOARD_CLOCK_BYPASS ? CR_HSEBYP : 0u);
  RCC_CR |= CR_HSEON;
  if (!wait_for(&RCC_CR, CR_HSERDY, CR_HSERDY))
    return false;
  RCC_PLLCFGR = PLLCFGR_RESERVED | PLLCFGR_Q | PLLCFGR_HSE | (BOARD_CLOCK_P / 2u - 1u) << 16 | BOARD_CLOCK_N << 6 |
                BOARD_CLOCK_M;
  RCC_CR |= CR_PLLON;
  if (BOARD_CLOCK_OVERDRIVE) {
    PWR_CR |= PWR_CR_ODEN;
    if (!wait_for(&PWR_CSR, PWR_CSR_ODRDY, PWR_CSR_ODRDY))
      return false;
    PWR_CR |= PWR_CR_ODSWEN;
    if (!wait_for(&PWR_CSR, PWR_CSR_ODSWRDY, PWR_CSR_ODSWRDY))
      return false;
  }
  if (!wait_for(&RCC_CR, CR_PLLRDY, CR_PLLRDY))
    return false;
  FLASH_ACR = ACR_DCEN | ACR_ICEN | ACR_PRFTEN | BOARD_CLOCK_WAIT_STATES;
  if (!wait_for(&FLASH_ACR, ACR_LATENCY, BOARD_CLOCK_WAIT_STATES))
    return false;
  RCC_CFGR = BUS_FIELD(BOARD_CLOCK_APB2) << 13 | BUS_FIELD(BOARD_CLOCK_APB1) << 10;
  RCC_CFGR |= CFGR_SW_PLL;
  return wait_for(&RCC_CFGR, CFGR_SWS, CFGR_SWS_PLL);
}

void chip_init(void) {
  chip = clock_up() ? (struct chip){BOARD_CLOCK_HZ, BOARD_CLOCK_HZ / UART_DIVIDER} : (struct chip){RESET_HZ, RESET_HZ};
  RCC_APB1ENR |= APB1ENR_TIM2;
  switch (BOARD_UART_BASE) {
  case 0x40004400u:
    RCC_APB1ENR |= APB1ENR_USART2;
    break;
  case 0x40004800u:
    RCC_APB1ENR |= APB1ENR_USART3;
    break;
  case 0x40011000u:
    RCC_APB2ENR |= APB2ENR_USART1;
    break;
  default:
    RCC_APB2ENR |= APB2ENR_USART6;
    break;
  }
  RCC_AHB1ENR |= CONSOLE_PORTS;
  gpio_console(GPIOA);
}
