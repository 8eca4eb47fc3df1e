// SPDX-License-Identifier: Apache-2.0
// LM3S6965: PLL on the 8 MHz crystal; console on UART0, PA0 and PA1 (LM3S6965 data sheet, chapter 5.4 and 5.5).
#include "driver.h"

#define SYSCTL_RIS REG32(0x400FE050u)
#define SYSCTL_RCC REG32(0x400FE060u)
#define SYSCTL_RCGC0 REG32(0x400FE100u)
#define SYSCTL_RCGC1 REG32(0x400FE104u)
#define SYSCTL_RCGC2 REG32(0x400FE108u)
#define GPIOA_AFSEL REG32(0x40004420u)
#define GPIOA_DEN REG32(0x4000451Cu)

#define RIS_PLLLRIS (1u << 6)
#define RCC_OSCSRC (3u << 4)  // 0: the crystal
#define RCC_XTAL (15u << 6)
#define RCC_XTAL_8MHZ (14u << 6)
#define RCC_BYPASS (1u << 11)
#define RCC_OEN (1u << 12)
#define RCC_PWRDN (1u << 13)
#define RCC_USESYSDIV (1u << 22)
#define RCC_SYSDIV (15u << 23)
#define RCGC0_WDT (1u << 3)
#define RCGC1_UART0 1u
#define RCGC2_GPIOA 1u

#define RESET_HZ 8000000u
_Static_assert(BOARD_CLOCK_SOURCE_HZ == 8000000u && BOARD_UART_TX == 1 && BOARD_UART_RX == 0, "8 MHz, PA1 and PA0");

struct chip chip;

static bool clock_up(void) {
  uint32_t rcc = (SYSCTL_RCC | RCC_BYPASS) & ~RCC_USESYSDIV;
  SYSCTL_RCC = rcc;
  rcc = (rcc & ~(RCC_XTAL | RCC_OSCSRC | RCC_PWRDN | RCC_OEN | RCC_SYSDIV)) | RCC_XTAL_8MHZ | (BOARD_CLOCK_P - 1u) << 23 |
        RCC_USESYSDIV;
  SYSCTL_RCC = rcc;
  if (!wait_for(&SYSCTL_RIS, RIS_PLLLRIS, RIS_PLLLRIS))
    return false;
  SYSCTL_RCC = rcc & ~RCC_BYPASS;
  return true;
}

void chip_init(void) {
  const uint32_t hz = clock_up() ? BOARD_CLOCK_HZ : RESET_HZ;
  chip = (struct chip){hz, hz};
  SYSCTL_RCGC0 |= RCGC0_WDT;
  SYSCTL_RCGC1 |= RCGC1_UART0;
  SYSCTL_RCGC2 |= RCGC2_GPIOA;
  for (volatile uint32_t i = 0; i < 4u; i++) {  // three clocks until they may be used
  }
  GPIOA_AFSEL |= 3u;
  GPIOA_DEN |= 3u;
}
