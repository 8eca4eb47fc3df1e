// SPDX-License-Identifier: Apache-2.0
// RP2040: system PLL on the 12 MHz crystal; the console runs from the crystal itself (RP2040 Datasheet: 2.14 resets,
// 2.15 clocks, 2.16 XOSC, 2.18 PLL, 2.19 GPIO, 4.7 watchdog tick).
#define CLOCKS 0x40008000u
#define RESETS 0x4000C000u
#define IO_BANK0 0x40014000u
#define XOSC 0x40024000u
#define PLL_SYS 0x40028000u
#define RESET_IO_BANK0 (1u << 5)
#define RESET_PADS_BANK0 (1u << 8)
#define RESET_PLL_SYS (1u << 12)
#define RESET_TIMER (1u << 21)
#define RESET_UART0 (1u << 22)

#include "rp2.h"

#define WATCHDOG_TICK REG32(0x4005802Cu)
#define TICK_ENABLE (1u << 9)
#define RING_OSCILLATOR_HZ 6500000u  // about
#define NEEDED (RESET_IO_BANK0 | RESET_PADS_BANK0 | RESET_TIMER | RESET_UART0)

_Static_assert(BOARD_UART_BASE == 0x40034000u, "the console is UART0");

struct chip chip;

void chip_init(void) {
  chip = (struct chip){clock_up() ? BOARD_CLOCK_HZ : RING_OSCILLATOR_HZ, BOARD_CLOCK_SOURCE_HZ};
  CLOCKS_CLK_PERI_CTRL = PERI_CTRL_XOSC;
  WATCHDOG_TICK = TICK_ENABLE | BOARD_CLOCK_SOURCE_HZ / 1000000u;  // the microsecond of the timer
  CLEAR_BITS(RESETS_RESET) = NEEDED;
  (void)wait_for(&RESETS_RESET_DONE, NEEDED, NEEDED);
  IO_BANK0_CTRL(BOARD_UART_TX) = FUNCTION_UART;
  IO_BANK0_CTRL(BOARD_UART_RX) = FUNCTION_UART;
}
