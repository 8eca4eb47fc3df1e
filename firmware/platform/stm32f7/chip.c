// SPDX-License-Identifier: Apache-2.0
// STM32F746 and F767: PLL on an external clock with overdrive, wait states, caches of the core
// (RM0385 and RM0410: chapters 3.3 flash, 4 PWR, 5 RCC). The flash is read through its AXI address and the L1 caches.
#include "cache_m7.h"
#include "stm32_gpio.h"

#define PWR_CR1 REG32(0x40007000u)
#define PWR_CSR1 REG32(0x40007004u)
#define RCC_CR REG32(0x40023800u)
#define RCC_PLLCFGR REG32(0x40023804u)
#define RCC_CFGR REG32(0x40023808u)
#define RCC_AHB1ENR REG32(0x40023830u)
#define RCC_APB1ENR REG32(0x40023840u)
#define RCC_APB2ENR REG32(0x40023844u)
#define RCC_DCKCFGR2 REG32(0x40023890u)
#define FLASH_ACR REG32(0x40023C00u)

#define GPIOA 0x40020000u
#define CR_HSEON (1u << 16)
#define CR_HSERDY (1u << 17)
#define CR_HSEBYP (1u << 18)
#define CR_PLLON (1u << 24)
#define CR_PLLRDY (1u << 25)
#define PLLCFGR_HSE (1u << 22)
#define PLLCFGR_Q (9u << 24)
#define PLLCFGR_RESERVED 0x20000000u
#define CFGR_SW_PLL 2u
#define CFGR_SWS (3u << 2)
#define CFGR_SWS_PLL (2u << 2)
#define ACR_LATENCY 15u
#define ACR_PRFTEN (1u << 8)
#define PWR_CR1_ODEN (1u << 16)
#define PWR_CR1_ODSWEN (1u << 17)
#define PWR_CSR1_ODRDY (1u << 16)
#define PWR_CSR1_ODSWRDY (1u << 17)
#define APB1ENR_USART3 (1u << 18)
#define APB1ENR_PWR (1u << 28)
#define APB2ENR_USART1 (1u << 4)
#define DCKCFGR2_USART1_HSI (2u << 0)
#define DCKCFGR2_USART3_HSI (2u << 4)

#define USART1 0x40011000u
#define USART3 0x40004800u
#define HSI_HZ 16000000u
#define BUS_FIELD(divider) ((divider) == 1u ? 0u : (divider) == 2u ? 4u : (divider) == 4u ? 5u : 6u)
_Static_assert(BOARD_UART_BASE == USART1 || BOARD_UART_BASE == USART3, "the console is USART1 or USART3");

struct chip chip;

static bool clock_up(void) {
  RCC_APB1ENR |= APB1ENR_PWR;
  PWR_CR1 |= BOARD_CLOCK_VOLTAGE << 14;
  RCC_CR |= (BOARD_CLOCK_BYPASS ? CR_HSEBYP : 0u);
  RCC_CR |= CR_HSEON;
  if (!wait_for(&RCC_CR, CR_HSERDY, CR_HSERDY))
    return false;
  RCC_PLLCFGR = PLLCFGR_RESERVED | PLLCFGR_Q | PLLCFGR_HSE | (BOARD_CLOCK_P / 2u - 1u) << 16 | BOARD_CLOCK_N << 6 |
                BOARD_CLOCK_M;
  RCC_CR |= CR_PLLON;
  if (BOARD_CLOCK_OVERDRIVE) {
    PWR_CR1 |= PWR_CR1_ODEN;
    if (!wait_for(&PWR_CSR1, PWR_CSR1_ODRDY, PWR_CSR1_ODRDY))
      return false;
    PWR_CR1 |= PWR_CR1_ODSWEN;
    if (!wait_for(&PWR_CSR1, PWR_CSR1_ODSWRDY, PWR_CSR1_ODSWRDY))
      return false;
  }
  if (!wait_for(&RCC_CR, CR_PLLRDY, CR_PLLRDY))
    return false;
  FLASH_ACR = ACR_PRFTEN | BOARD_CLOCK_WAIT_STATES;
  if (!wait_for(&FLASH_ACR, ACR_LATENCY, BOARD_CLOCK_WAIT_STATES))
    return false;
  RCC_CFGR = BUS_FIELD(BOARD_CLOCK_APB2) << 13 | BUS_FIELD(BOARD_CLOCK_APB1) << 10;
  RCC_CFGR |= CFGR_SW_PLL;
  return wait_for(&RCC_CFGR, CFGR_SWS, CFGR_SWS_PLL);
}

void chip_init(void) {
  // The console runs from the internal oscillator, whatever becomes of the PLL.
  chip = (struct chip){clock_up() ? BOARD_CLOCK_HZ : HSI_HZ, HSI_HZ};
  cache_on();
  if (BOARD_UART_BASE == USART1) {
    RCC_DCKCFGR2 |= DCKCFGR2_USART1_HSI;
    RCC_APB2ENR |= APB2ENR_USART1;
  } else {
    RCC_DCKCFGR2 |= DCKCFGR2_USART3_HSI;
    RCC_APB1ENR |= APB1ENR_USART3;
  }
  RCC_AHB1ENR |= CONSOLE_PORTS;
  gpio_console(GPIOA);
}
