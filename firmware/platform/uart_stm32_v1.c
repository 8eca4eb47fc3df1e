// SPDX-License-Identifier: Apache-2.0
// The USART of STM32 F1, F2 and F4: one data register both ways.
#include "driver.h"

#define USART_SR REG32(BOARD_UART_BASE + 0x00u)
#define USART_DR REG32(BOARD_UART_BASE + 0x04u)
#define USART_BRR REG32(BOARD_UART_BASE + 0x08u)
#define USART_CR1 REG32(BOARD_UART_BASE + 0x0Cu)

#define SR_RXNE (1u << 5)
#define SR_TXE (1u << 7)
#define CR1_RE (1u << 2)
#define CR1_TE (1u << 3)
#define CR1_RXNEIE (1u << 5)
#define CR1_UE (1u << 13)

void uart_init(void) {
  USART_BRR = (chip.uart_hz + BOARD_UART_BAUD / 2u) / BOARD_UART_BAUD;
  USART_CR1 = CR1_UE | CR1_TE | CR1_RE | CR1_RXNEIE;
  NVIC_ENABLE(BOARD_UART_IRQ);
}

void uart_putc(char c) {
  while (!(USART_SR & SR_TXE)) {
  }
  USART_DR = (uint8_t)c;
}

char uart_getc(void) {
  while (!(USART_SR & SR_RXNE))
    wait_for_interrupt();
  const char c = (char)USART_DR;  // also ends an overrun, which the host sees as a damaged command
  NVIC_CLEAR(BOARD_UART_IRQ);
  return c;
}
