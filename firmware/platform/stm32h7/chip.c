// SPDX-License-Identifier: Apache-2.0
// STM32H743 revision V: 480 MHz in voltage scale 0, wait states, caches of the core, the SRAMs of domain D2
// (RM0433: chapters 4 flash, 6 PWR, 8 RCC). Revision Y reaches 400 MHz only, and stays on its reset clock here.
#include "cache_m7.h"
#include "stm32_gpio.h"

#define FLASH_ACR REG32(0x52002000u)
#define SYSCFG_PWRCR REG32(0x5800042Cu)
#define DBGMCU_IDCODE REG32(0x5C001000u)
#define RCC_CR REG32(0x58024400u)
#define RCC_CFGR REG32(0x58024410u)
#define RCC_D1CFGR REG32(0x58024418u)
#define RCC_D2CFGR REG32(0x5802441Cu)
#define RCC_D3CFGR REG32(0x58024420u)
#define RCC_PLLCKSELR REG32(0x58024428u)
#define RCC_PLLCFGR REG32(0x5802442Cu)
#define RCC_PLL1DIVR REG32(0x58024430u)
#define RCC_D2CCIP2R REG32(0x58024454u)
#define RCC_AHB2ENR REG32(0x580244DCu)
#define RCC_AHB4ENR REG32(0x580244E0u)
#define RCC_APB1LENR REG32(0x580244E8u)
#define RCC_APB4ENR REG32(0x580244F4u)
#define PWR_CSR1 REG32(0x58024804u)
#define PWR_CR3 REG32(0x5802480Cu)
#define PWR_D3CR REG32(0x58024818u)

#define GPIOA 0x58020000u
#define CR_HSEON (1u << 16)
#define CR_HSERDY (1u << 17)
#define CR_HSEBYP (1u << 18)
#define CR_PLL1ON (1u << 24)
#define CR_PLL1RDY (1u << 25)
#define CFGR_SW_PLL1 3u
#define CFGR_SWS (7u << 3)
#define CFGR_SWS_PLL1 (3u << 3)
#define HALF 4u                     // of the bus dividers D1PPRE, D2PPRE1, D2PPRE2, D3PPRE
#define D1CFGR_HPRE_HALF 8u
#define PLLCKSELR_HSE 2u
#define PLLCFGR_INPUT_4_TO_8_MHZ (2u << 2)
#define PLLCFGR_DIVP1EN (1u << 16)
#define PWR_CR3_LDOEN (1u << 1)
#define PWR_CSR1_ACTVOSRDY (1u << 13)
#define PWR_D3CR_VOSRDY (1u << 13)
#define PWR_D3CR_SCALE1 (3u << 14)
#define SYSCFG_PWRCR_ODEN 1u
#define APB4ENR_SYSCFG (1u << 1)
#define APB1LENR_USART3 (1u << 18)
#define AHB2ENR_SRAM123 (7u << 29)
#define D2CCIP2R_USART3_HSI (3u << 0)
#define ACR_LATENCY 15u
#define ACR_WRHIGHFREQ (2u << 4)

#define REVISION_V 0x2003u
#define HSI_HZ 64000000u
_Static_assert(BOARD_UART_BASE == 0x40004800u, "the console is USART3");
_Static_assert(BOARD_CLOCK_SOURCE_HZ / BOARD_CLOCK_M >= 4000000u && BOARD_CLOCK_SOURCE_HZ / BOARD_CLOCK_M <= 8000000u,
               "PLL1 takes 4 to 8 MHz");

struct chip chip;

static bool clock_up(void) {
  if (DBGMCU_IDCODE >> 16 < REVISION_V)
    return false;
  PWR_CR3 = (PWR_CR3 & ~7u) | PWR_CR3_LDOEN;  // the supply must be confirmed once, before the voltage may change
  if (!wait_for(&PWR_CSR1, PWR_CSR1_ACTVOSRDY, PWR_CSR1_ACTVOSRDY))
    return false;
  PWR_D3CR |= PWR_D3CR_SCALE1;
  if (!wait_for(&PWR_D3CR, PWR_D3CR_VOSRDY, PWR_D3CR_VOSRDY))
    return false;
  RCC_APB4ENR |= APB4ENR_SYSCFG;
  if (BOARD_CLOCK_OVERDRIVE) {
    SYSCFG_PWRCR |= SYSCFG_PWRCR_ODEN;  // scale 0
    if (!wait_for(&PWR_D3CR, PWR_D3CR_VOSRDY, PWR_D3CR_VOSRDY))
      return false;
  }
  RCC_CR |= (BOARD_CLOCK_BYPASS ? CR_HSEBYP : 0u);
  RCC_CR |= CR_HSEON;
  if (!wait_for(&RCC_CR, CR_HSERDY, CR_HSERDY))
    return false;
  RCC_PLLCKSELR = BOARD_CLOCK_M << 4 | PLLCKSELR_HSE;
  RCC_PLLCFGR = PLLCFGR_DIVP1EN | PLLCFGR_INPUT_4_TO_8_MHZ;
  RCC_PLL1DIVR = 1u << 24 | 1u << 16 | (BOARD_CLOCK_P - 1u) << 9 | (BOARD_CLOCK_N - 1u);
  RCC_CR |= CR_PLL1ON;
  if (!wait_for(&RCC_CR, CR_PLL1RDY, CR_PLL1RDY))
    return false;
  FLASH_ACR = ACR_WRHIGHFREQ | BOARD_CLOCK_WAIT_STATES;
  if (!wait_for(&FLASH_ACR, ACR_LATENCY, BOARD_CLOCK_WAIT_STATES))
    return false;
  RCC_D1CFGR = HALF << 4 | D1CFGR_HPRE_HALF;  // buses at half the core's clock, peripherals at a quarter
  RCC_D2CFGR = HALF << 8 | HALF << 4;
  RCC_D3CFGR = HALF << 4;
  RCC_CFGR |= CFGR_SW_PLL1;
  return wait_for(&RCC_CFGR, CFGR_SWS, CFGR_SWS_PLL1);
}

void chip_init(void) {
  // The console runs from the internal oscillator, whatever becomes of the PLL.
  chip = (struct chip){clock_up() ? BOARD_CLOCK_HZ : HSI_HZ, HSI_HZ};
  RCC_AHB2ENR |= AHB2ENR_SRAM123;
  cache_on();
  RCC_D2CCIP2R |= D2CCIP2R_USART3_HSI;
  RCC_APB1LENR |= APB1LENR_USART3;
  RCC_AHB4ENR |= CONSOLE_PORTS;
  gpio_console(GPIOA);
}
