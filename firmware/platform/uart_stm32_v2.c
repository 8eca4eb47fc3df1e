// SPDX-License-Identifier: Apache-2.0
// The USART and LPUART of STM32 F7, H7, L4, U5 and G0. An LPUART divides 256 times as finely.
#include "driver.h"

#define USART_CR1 REG32(BOARD_UART_BASE + 0x00u)
#define USART_BRR REG32(BOARD_UART_BASE + 0x0Cu)
#define USART_ISR REG32(BOARD_UART_BASE + 0x1Cu)
#define USART_ICR REG32(BOARD_UART_BASE + 0x20u)
#define USART_RDR REG32(BOARD_UART_BASE + 0x24u)
#define USART_TDR REG32(BOARD_UART_BASE + 0x28u)

#define CR1_UE (1u << 0)
#define CR1_RE (1u << 2)
#define CR1_TE (1u << 3)
#define ISR_ORE (1u << 3)
#define ISR_RXNE (1u << 5)
#define ISR_TXE (1u << 7)

// Chips with an LPUART as console keep it at this address: STM32L4's LPUART1.
#define LPUART1 0x40008000u
#define STEPS (BOARD_UART_BASE == LPUART1 ? 256u : 1u)

void uart_init(void) {
  USART_BRR = (chip.uart_hz * STEPS + BOARD_UART_BAUD / 2u) / BOARD_UART_BAUD;  // 256 * 16 MHz still fits
  USART_CR1 = CR1_UE | CR1_TE | CR1_RE;
}

void uart_putc(char c) {
  while (!(USART_ISR & ISR_TXE)) {
  }
  USART_TDR = (uint8_t)c;
}

char uart_getc(void) {
  while (!(USART_ISR & ISR_RXNE))
    if (USART_ISR & ISR_ORE)
      USART_ICR = ISR_ORE;  // a lost byte must not end reception; the host sees a damaged command
  return (char)USART_RDR;
}
