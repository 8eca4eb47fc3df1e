// SPDX-License-Identifier: Apache-2.0
// What RP2040 and RP2350 have in common: crystal, system PLL, switching to it. BASEs differ, and come from the includer.
#ifndef MCUNAS_RP2_H
#define MCUNAS_RP2_H

#include "driver.h"

#define CLEAR_BITS(reg) (*(&(reg) + 0x3000u / sizeof(uint32_t)))  // the register's alias that clears bits

#define CLOCKS_CLK_REF_CTRL REG32(CLOCKS + 0x30u)
#define CLOCKS_CLK_REF_SELECTED REG32(CLOCKS + 0x38u)
#define CLOCKS_CLK_SYS_CTRL REG32(CLOCKS + 0x3Cu)
#define CLOCKS_CLK_SYS_SELECTED REG32(CLOCKS + 0x44u)
#define CLOCKS_CLK_PERI_CTRL REG32(CLOCKS + 0x48u)
#define RESETS_RESET REG32(RESETS + 0x0u)
#define RESETS_RESET_DONE REG32(RESETS + 0x8u)
#define XOSC_CTRL REG32(XOSC + 0x00u)
#define XOSC_STATUS REG32(XOSC + 0x04u)
#define XOSC_STARTUP REG32(XOSC + 0x0Cu)
#define PLL_SYS_CS REG32(PLL_SYS + 0x0u)
#define PLL_SYS_PWR REG32(PLL_SYS + 0x4u)
#define PLL_SYS_FBDIV_INT REG32(PLL_SYS + 0x8u)
#define PLL_SYS_PRIM REG32(PLL_SYS + 0xCu)
#define IO_BANK0_CTRL(pin) REG32(IO_BANK0 + (pin) * 8u + 4u)

#define XOSC_CTRL_ON_1_TO_15_MHZ (0xFABu << 12 | 0xAA0u)
#define XOSC_STATUS_STABLE (1u << 31)
#define REF_CTRL_XOSC 2u
#define REF_SELECTED_XOSC (1u << 2)
#define SYS_CTRL_AUX 1u          // and aux 0: the system PLL
#define SYS_SELECTED_AUX (1u << 1)
#define PERI_CTRL_XOSC (1u << 11 | 4u << 5)
#define PLL_CS_LOCK (1u << 31)
#define PLL_PWR_PD (1u << 0)
#define PLL_PWR_POSTDIVPD (1u << 3)
#define PLL_PWR_VCOPD (1u << 5)
#define FUNCTION_UART 2u

// The post-dividers 1 to 7: p = first * second, with the larger one first.
#define SECOND (BOARD_CLOCK_P > 7u ? 2u : 1u)

static inline bool clock_up(void) {
  XOSC_STARTUP = 47u * 4u;  // in units of 256 crystal cycles: 4 ms
  XOSC_CTRL = XOSC_CTRL_ON_1_TO_15_MHZ;
  if (!wait_for(&XOSC_STATUS, XOSC_STATUS_STABLE, XOSC_STATUS_STABLE))
    return false;
  CLOCKS_CLK_REF_CTRL = REF_CTRL_XOSC;
  if (!wait_for(&CLOCKS_CLK_REF_SELECTED, REF_SELECTED_XOSC, REF_SELECTED_XOSC))
    return false;
  CLEAR_BITS(CLOCKS_CLK_SYS_CTRL) = SYS_CTRL_AUX;  // off the PLL, should a boot loader have left it there
  CLEAR_BITS(RESETS_RESET) = RESET_PLL_SYS;
  if (!wait_for(&RESETS_RESET_DONE, RESET_PLL_SYS, RESET_PLL_SYS))
    return false;
  PLL_SYS_CS = BOARD_CLOCK_M;
  PLL_SYS_FBDIV_INT = BOARD_CLOCK_N;
  CLEAR_BITS(PLL_SYS_PWR) = PLL_PWR_PD | PLL_PWR_VCOPD;
  if (!wait_for(&PLL_SYS_CS, PLL_CS_LOCK, PLL_CS_LOCK))
    return false;
  PLL_SYS_PRIM = BOARD_CLOCK_P / SECOND << 16 | SECOND << 12;
  CLEAR_BITS(PLL_SYS_PWR) = PLL_PWR_POSTDIVPD;
  CLOCKS_CLK_SYS_CTRL = 0;
  CLOCKS_CLK_SYS_CTRL = SYS_CTRL_AUX;
  return wait_for(&CLOCKS_CLK_SYS_SELECTED, SYS_SELECTED_AUX, SYS_SELECTED_AUX);
}

#endif
