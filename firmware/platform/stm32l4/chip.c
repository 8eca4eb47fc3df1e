// SPDX-License-Identifier: Apache-2.0
// STM32L475 and L4R5: PLL on the internal 16 MHz oscillator, wait states, prefetch and both flash caches
// (RM0351 and RM0432: chapters 3 flash, 5 PWR, 6 RCC).
#include "stm32_gpio.h"

#define PWR_CR1 REG32(0x40007000u)
#define PWR_CR2 REG32(0x40007004u)
#define PWR_SR2 REG32(0x40007014u)
#define PWR_CR5 REG32(0x40007080u)
#define RCC_CR REG32(0x40021000u)
#define RCC_CFGR REG32(0x40021008u)
#define RCC_PLLCFGR REG32(0x4002100Cu)
#define RCC_AHB2ENR REG32(0x4002104Cu)
#define RCC_APB1ENR1 REG32(0x40021058u)
#define RCC_APB1ENR2 REG32(0x4002105Cu)
#define RCC_APB2ENR REG32(0x40021060u)
#define RCC_CCIPR REG32(0x40021088u)
#define FLASH_ACR REG32(0x40022000u)

#define GPIOA 0x48000000u
#define CR_HSION (1u << 8)
#define CR_HSIRDY (1u << 10)
#define CR_PLLON (1u << 24)
#define CR_PLLRDY (1u << 25)
#define PLLCFGR_HSI 2u
#define PLLCFGR_PLLREN (1u << 24)
#define CFGR_SW_PLL 3u
#define CFGR_SWS (3u << 2)
#define CFGR_SWS_PLL (3u << 2)
#define CFGR_HPRE (15u << 4)
#define CFGR_HPRE_HALF (8u << 4)
#define ACR_LATENCY 15u
#define ACR_PRFTEN (1u << 8)
#define ACR_ICEN (1u << 9)
#define ACR_DCEN (1u << 10)
#define PWR_CR1_VOS (3u << 9)
#define PWR_CR1_VOS_RANGE1 (1u << 9)
#define PWR_CR2_IOSV (1u << 9)
#define PWR_SR2_VOSF (1u << 10)
#define PWR_CR5_R1MODE (1u << 8)
#define APB1ENR1_PWR (1u << 28)
#define APB1ENR2_LPUART1 (1u << 0)
#define APB2ENR_USART1 (1u << 14)
#define CCIPR_USART1_HSI (2u << 0)
#define CCIPR_LPUART1_HSI (2u << 10)

#define USART1 0x40013800u
#define LPUART1 0x40008000u
#define HSI_HZ 16000000u
#define RESET_HZ 4000000u
#define BOOSTED (BOARD_CLOCK_HZ > 80000000u)  // L4+ only
_Static_assert(BOARD_UART_BASE == USART1 || BOARD_UART_BASE == LPUART1, "the console is USART1 or LPUART1");
_Static_assert(BOARD_CLOCK_HSI && (BOARD_CLOCK_P == 2u || BOARD_CLOCK_P == 4u), "PLL R on the 16 MHz oscillator");

struct chip chip;

static bool clock_up(void) {
  RCC_APB1ENR1 |= APB1ENR1_PWR;
  PWR_CR1 = (PWR_CR1 & ~PWR_CR1_VOS) | PWR_CR1_VOS_RANGE1;
  if (BOOSTED)
    PWR_CR5 &= ~PWR_CR5_R1MODE;
  if (!wait_for(&PWR_SR2, PWR_SR2_VOSF, 0))
    return false;
  RCC_PLLCFGR = (BOARD_CLOCK_P / 2u - 1u) << 25 | PLLCFGR_PLLREN | BOARD_CLOCK_N << 8 | (BOARD_CLOCK_M - 1u) << 4 |
                PLLCFGR_HSI;
  RCC_CR |= CR_PLLON;
  if (!wait_for(&RCC_CR, CR_PLLRDY, CR_PLLRDY))
    return false;
  FLASH_ACR = ACR_DCEN | ACR_ICEN | ACR_PRFTEN | BOARD_CLOCK_WAIT_STATES;
  if (!wait_for(&FLASH_ACR, ACR_LATENCY, BOARD_CLOCK_WAIT_STATES))
    return false;
  if (BOOSTED)
    RCC_CFGR = (RCC_CFGR & ~CFGR_HPRE) | CFGR_HPRE_HALF;  // over 80 MHz in two steps, 1 us apart
  RCC_CFGR |= CFGR_SW_PLL;
  if (!wait_for(&RCC_CFGR, CFGR_SWS, CFGR_SWS_PLL))
    return false;
  for (volatile uint32_t i = 0; i < 64u; i++) {
  }
  RCC_CFGR &= ~CFGR_HPRE;
  return true;
}

void chip_init(void) {
  RCC_CR |= CR_HSION;
  const bool hsi = wait_for(&RCC_CR, CR_HSIRDY, CR_HSIRDY);
  // The console runs from the internal oscillator, whatever becomes of the PLL.
  chip = (struct chip){hsi && clock_up() ? BOARD_CLOCK_HZ : RESET_HZ, HSI_HZ};
  if (BOARD_UART_BASE == USART1) {
    RCC_CCIPR |= CCIPR_USART1_HSI;
    RCC_APB2ENR |= APB2ENR_USART1;
  } else {
    PWR_CR2 |= PWR_CR2_IOSV;  // port G has a supply of its own
    RCC_CCIPR |= CCIPR_LPUART1_HSI;
    RCC_APB1ENR2 |= APB1ENR2_LPUART1;
  }
  RCC_AHB2ENR |= CONSOLE_PORTS;
  gpio_console(GPIOA);
}
