// SPDX-License-Identifier: Apache-2.0
// The CMSDK APB UART of Arm's MPS2 and MPS3 boards. One byte of buffer each way.
#include "driver.h"

#define DATA REG32(BOARD_UART_BASE + 0x00)
#define STATE REG32(BOARD_UART_BASE + 0x04)
#define CTRL REG32(BOARD_UART_BASE + 0x08)
#define INTERRUPTS REG32(BOARD_UART_BASE + 0x0C)
#define BAUDDIV REG32(BOARD_UART_BASE + 0x10)

#define STATE_TX_FULL 1u
#define STATE_RX_FULL 2u
#define CTRL_TX_ENABLE 1u
#define CTRL_RX_ENABLE 2u
#define CTRL_RX_INTERRUPT 8u
#define INTERRUPT_RX 2u

void uart_init(void) {
  BAUDDIV = BOARD_CLOCK_HZ / BOARD_UART_BAUD;
  CTRL = CTRL_TX_ENABLE | CTRL_RX_ENABLE | CTRL_RX_INTERRUPT;
  NVIC_ENABLE(BOARD_UART_IRQ);
}

void uart_putc(char c) {
  while (STATE & STATE_TX_FULL) {
  }
  DATA = (uint8_t)c;
}

char uart_getc(void) {
  while (!(STATE & STATE_RX_FULL))
    wait_for_interrupt();
  const char c = (char)DATA;
  // A byte that comes from here on is not lost: the next call looks at STATE before it sleeps.
  INTERRUPTS = INTERRUPT_RX;
  NVIC_CLEAR(BOARD_UART_IRQ);
  return c;
}
