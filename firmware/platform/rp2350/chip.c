// SPDX-License-Identifier: Apache-2.0
// RP2350 with its Cortex-M33 cores: system PLL on the 12 MHz crystal; the console runs from the crystal itself
// (RP2350 Datasheet: 7.5 resets, 8.1 clocks, 8.2 XOSC, 8.6 PLL, 9 GPIO).
#define CLOCKS 0x40010000u
#define RESETS 0x40020000u
#define IO_BANK0 0x40028000u
#define XOSC 0x40048000u
#define PLL_SYS 0x40050000u
#define RESET_IO_BANK0 (1u << 6)
#define RESET_PADS_BANK0 (1u << 9)
#define RESET_PLL_SYS (1u << 14)
#define RESET_UART0 (1u << 26)

#include "rp2.h"

#define PADS_BANK0(pin) REG32(0x40038004u + (pin) * 4u)
#define PAD_ISOLATED (1u << 8)
#define PAD_INPUT (1u << 6)
#define RING_OSCILLATOR_HZ 11000000u  // about
#define NEEDED (RESET_IO_BANK0 | RESET_PADS_BANK0 | RESET_UART0)

_Static_assert(BOARD_UART_BASE == 0x40070000u, "the console is UART0");

// The boot ROM starts what has this block in its first 4 KiB: an Arm image for the Secure state of an RP2350
// (RP2350 Datasheet 5.9.5.1, the least IMAGE_DEF).
__attribute__((section(".behind_vectors"), used)) static const uint32_t image_def[] = {
  0xFFFFDED3u, 0x10210142u, 0x000001FFu, 0x00000000u, 0xAB123579u,
};

struct chip chip;

static void connect(uint32_t pin) {
  PADS_BANK0(pin) |= PAD_INPUT;
  IO_BANK0_CTRL(pin) = FUNCTION_UART;
  PADS_BANK0(pin) &= ~PAD_ISOLATED;  // pads are cut off after reset, until their function is chosen
}

void chip_init(void) {
  chip = (struct chip){clock_up() ? BOARD_CLOCK_HZ : RING_OSCILLATOR_HZ, BOARD_CLOCK_SOURCE_HZ};
  CLOCKS_CLK_PERI_CTRL = PERI_CTRL_XOSC;
  CLEAR_BITS(RESETS_RESET) = NEEDED;
  (void)wait_for(&RESETS_RESET_DONE, NEEDED, NEEDED);
  connect(BOARD_UART_TX);
  connect(BOARD_UART_RX);
}
