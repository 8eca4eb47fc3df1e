// SPDX-License-Identifier: Apache-2.0
// STM32U575 with TrustZone off, as delivered: PLL1 on the internal 16 MHz oscillator, the voltage booster that more than
// 55 MHz need, wait states and the instruction cache, which also serves constants in flash
// (RM0456: chapters 7 flash, 8 ICACHE, 10 PWR, 11 RCC).
#include "stm32_gpio.h"

#define FLASH_ACR REG32(0x40022000u)
#define ICACHE_CR REG32(0x40030400u)
#define PWR_VOSR REG32(0x4602080Cu)
#define RCC_CR REG32(0x46020C00u)
#define RCC_CFGR1 REG32(0x46020C1Cu)
#define RCC_PLL1CFGR REG32(0x46020C28u)
#define RCC_PLL1DIVR REG32(0x46020C34u)
#define RCC_AHB2ENR1 REG32(0x46020C8Cu)
#define RCC_AHB3ENR REG32(0x46020C94u)
#define RCC_APB2ENR REG32(0x46020CA4u)
#define RCC_CCIPR1 REG32(0x46020CE0u)

#define GPIOA 0x42020000u
#define CR_HSION (1u << 8)
#define CR_HSIRDY (1u << 10)
#define CR_PLL1ON (1u << 24)
#define CR_PLL1RDY (1u << 25)
#define CFGR1_SW_PLL1 3u
#define CFGR1_SWS (3u << 2)
#define CFGR1_SWS_PLL1 (3u << 2)
#define PLL1CFGR_HSI 2u
#define PLL1CFGR_INPUT_8_TO_16_MHZ (3u << 2)
#define PLL1CFGR_REN (1u << 18)
#define VOSR_BOOSTRDY (1u << 14)
#define VOSR_VOSRDY (1u << 15)
#define VOSR_RANGE1 (3u << 16)
#define VOSR_BOOSTEN (1u << 18)
#define AHB3ENR_PWR (1u << 2)
#define APB2ENR_USART1 (1u << 14)
#define CCIPR1_USART1_HSI (2u << 0)
#define ACR_LATENCY 15u
#define ACR_PRFTEN (1u << 8)
#define ICACHE_CR_EN 1u

#define HSI_HZ 16000000u
#define RESET_HZ 4000000u
_Static_assert(BOARD_UART_BASE == 0x40013800u, "the console is USART1");
_Static_assert(BOARD_CLOCK_HSI && BOARD_CLOCK_M <= 2u, "PLL1 takes 8 to 16 MHz of the internal oscillator");

struct chip chip;

static bool clock_up(void) {
  RCC_AHB3ENR |= AHB3ENR_PWR;
  // The booster runs from PLL1's source, undivided: it must be known before the booster is switched on.
  RCC_PLL1CFGR = PLL1CFGR_REN | (BOARD_CLOCK_M - 1u) << 8 | PLL1CFGR_INPUT_8_TO_16_MHZ | PLL1CFGR_HSI;
  PWR_VOSR = VOSR_RANGE1;
  if (!wait_for(&PWR_VOSR, VOSR_VOSRDY, VOSR_VOSRDY))
    return false;
  PWR_VOSR = VOSR_RANGE1 | VOSR_BOOSTEN;
  if (!wait_for(&PWR_VOSR, VOSR_BOOSTRDY, VOSR_BOOSTRDY))
    return false;
  FLASH_ACR = ACR_PRFTEN | BOARD_CLOCK_WAIT_STATES;
  if (!wait_for(&FLASH_ACR, ACR_LATENCY, BOARD_CLOCK_WAIT_STATES))
    return false;
  RCC_PLL1DIVR = (BOARD_CLOCK_P - 1u) << 24 | 1u << 16 | 1u << 9 | (BOARD_CLOCK_N - 1u);
  RCC_CR |= CR_PLL1ON;
  if (!wait_for(&RCC_CR, CR_PLL1RDY, CR_PLL1RDY))
    return false;
  RCC_CFGR1 |= CFGR1_SW_PLL1;
  return wait_for(&RCC_CFGR1, CFGR1_SWS, CFGR1_SWS_PLL1);
}

void chip_init(void) {
  RCC_CR |= CR_HSION;
  const bool hsi = wait_for(&RCC_CR, CR_HSIRDY, CR_HSIRDY);
  // The console runs from the internal oscillator, whatever becomes of the PLL.
  chip = (struct chip){hsi && clock_up() ? BOARD_CLOCK_HZ : RESET_HZ, HSI_HZ};
  ICACHE_CR |= ICACHE_CR_EN;
  RCC_CCIPR1 |= CCIPR1_USART1_HSI;
  RCC_APB2ENR |= APB2ENR_USART1;
  RCC_AHB2ENR1 |= CONSOLE_PORTS;
  gpio_console(GPIOA);
}
