// SPDX-License-Identifier: Apache-2.0
// STM32F100 (value line): PLL on the crystal to 24 MHz; the flash needs no wait states (RM0041, chapter 6).
#include "driver.h"

#define RCC_CR REG32(0x40021000u)
#define RCC_CFGR REG32(0x40021004u)
#define RCC_APB2ENR REG32(0x40021018u)
#define GPIOA_CRH REG32(0x40010804u)

#define CR_HSEON (1u << 16)
#define CR_HSERDY (1u << 17)
#define CR_HSEBYP (1u << 18)
#define CR_PLLON (1u << 24)
#define CR_PLLRDY (1u << 25)
#define CFGR_PLLSRC_HSE (1u << 16)
#define CFGR_SW_PLL 2u
#define CFGR_SWS (3u << 2)
#define CFGR_SWS_PLL (2u << 2)
#define APB2ENR_IOPA (1u << 2)
#define APB2ENR_USART1 (1u << 14)

#define RESET_HZ 8000000u
_Static_assert(BOARD_UART_TX == 9 && BOARD_UART_RX == 10, "the console is USART1 on PA9 and PA10");

struct chip chip;

static bool clock_up(void) {
  RCC_CR |= (BOARD_CLOCK_BYPASS ? CR_HSEBYP : 0u);
  RCC_CR |= CR_HSEON;
  if (!wait_for(&RCC_CR, CR_HSERDY, CR_HSERDY))
    return false;
  RCC_CFGR |= CFGR_PLLSRC_HSE | (BOARD_CLOCK_N - 2u) << 18;
  RCC_CR |= CR_PLLON;
  if (!wait_for(&RCC_CR, CR_PLLRDY, CR_PLLRDY))
    return false;
  RCC_CFGR |= CFGR_SW_PLL;
  return wait_for(&RCC_CFGR, CFGR_SWS, CFGR_SWS_PLL);
}

void chip_init(void) {
  const uint32_t hz = clock_up() ? BOARD_CLOCK_HZ : RESET_HZ;
  chip = (struct chip){hz, hz};
  RCC_APB2ENR |= APB2ENR_IOPA | APB2ENR_USART1;
  // PA9: alternate push-pull, 50 MHz; PA10: input with pull-up (its output register's bit is 0 after reset: floating).
  GPIOA_CRH = (GPIOA_CRH & ~0xFF0u) | 0x4B0u;
}
