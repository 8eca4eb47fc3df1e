// SPDX-License-Identifier: Apache-2.0
// Arm's PL011, as in the LM3S6965, RP2040 and RP2350, with its FIFO.
#include "driver.h"

#define UARTDR REG32(BOARD_UART_BASE + 0x00u)
#define UARTFR REG32(BOARD_UART_BASE + 0x18u)
#define UARTIBRD REG32(BOARD_UART_BASE + 0x24u)
#define UARTFBRD REG32(BOARD_UART_BASE + 0x28u)
#define UARTLCR_H REG32(BOARD_UART_BASE + 0x2Cu)
#define UARTCR REG32(BOARD_UART_BASE + 0x30u)
#define UARTIMSC REG32(BOARD_UART_BASE + 0x38u)

#define FR_RXFE (1u << 4)
#define FR_TXFF (1u << 5)
#define LCR_H_FEN (1u << 4)
#define LCR_H_8BITS (3u << 5)
#define CR_UARTEN (1u << 0)
#define CR_TXE (1u << 8)
#define CR_RXE (1u << 9)
#define INTERRUPT_RX (1u << 4)
#define INTERRUPT_RX_TIMEOUT (1u << 6)

void uart_init(void) {
  // 64ths of clock / (16 * baud), rounded.
  const uint32_t divider = (chip.uart_hz * 4u + BOARD_UART_BAUD / 2u) / BOARD_UART_BAUD;
  UARTCR = 0;
  UARTIBRD = divider >> 6;
  UARTFBRD = divider & 63u;
  UARTLCR_H = LCR_H_8BITS | LCR_H_FEN;  // after the dividers: this write takes them over
  UARTIMSC = INTERRUPT_RX | INTERRUPT_RX_TIMEOUT;
  UARTCR = CR_UARTEN | CR_TXE | CR_RXE;
  NVIC_ENABLE(BOARD_UART_IRQ);
}

void uart_putc(char c) {
  while (UARTFR & FR_TXFF) {
  }
  UARTDR = (uint8_t)c;
}

char uart_getc(void) {
  while (UARTFR & FR_RXFE)
    wait_for_interrupt();
  const char c = (char)UARTDR;
  NVIC_CLEAR(BOARD_UART_IRQ);
  return c;
}
