// SPDX-License-Identifier: Apache-2.0
// The UART of the nRF51 and nRF52 series.
#include "driver.h"

#define TASKS_STARTRX REG32(BOARD_UART_BASE + 0x000)
#define TASKS_STARTTX REG32(BOARD_UART_BASE + 0x008)
#define EVENTS_RXDRDY REG32(BOARD_UART_BASE + 0x108)
#define EVENTS_TXDRDY REG32(BOARD_UART_BASE + 0x11C)
#define INTENSET REG32(BOARD_UART_BASE + 0x304)
#define ENABLE REG32(BOARD_UART_BASE + 0x500)
#define PSELTXD REG32(BOARD_UART_BASE + 0x50C)
#define PSELRXD REG32(BOARD_UART_BASE + 0x514)
#define RXD REG32(BOARD_UART_BASE + 0x518)
#define TXD REG32(BOARD_UART_BASE + 0x51C)
#define BAUDRATE REG32(BOARD_UART_BASE + 0x524)
#define GPIO(pin) (0x50000500u + (pin) / 32u * 0x300u)
#define GPIO_OUTSET(pin) REG32(GPIO(pin) + 0x008u)
#define GPIO_DIRSET(pin) REG32(GPIO(pin) + 0x018u)
#define GPIO_PIN_CNF(pin) REG32(GPIO(pin) + 0x200u + (pin) % 32u * 4u)

#define PIN_CNF_INPUT_PULLED_UP (3u << 2)
#define ENABLE_UART 4u
#define INTERRUPT_RXDRDY 4u

void uart_init(void) {
  GPIO_OUTSET(BOARD_UART_TX) = 1u << BOARD_UART_TX % 32u;  // idle level, before the UART takes the pin
  GPIO_DIRSET(BOARD_UART_TX) = 1u << BOARD_UART_TX % 32u;
  GPIO_PIN_CNF(BOARD_UART_RX) = PIN_CNF_INPUT_PULLED_UP;
  PSELTXD = BOARD_UART_TX;
  PSELRXD = BOARD_UART_RX;
  // The register holds baud * 2^32 / 16 MHz in steps of 4096.
  BAUDRATE = (uint32_t)((((uint64_t)BOARD_UART_BAUD << 32) / 16000000u + 0x800u) & 0xFFFFF000u);
  ENABLE = ENABLE_UART;
  INTENSET = INTERRUPT_RXDRDY;
  NVIC_ENABLE(BOARD_UART_IRQ);
  TASKS_STARTTX = 1;
  TASKS_STARTRX = 1;
}

void uart_putc(char c) {
  EVENTS_TXDRDY = 0;
  TXD = (uint8_t)c;
  while (!EVENTS_TXDRDY) {
  }
}

char uart_getc(void) {
  while (!EVENTS_RXDRDY)
    wait_for_interrupt();
  EVENTS_RXDRDY = 0;  // before reading, so that the next byte's event is not lost
  NVIC_CLEAR(BOARD_UART_IRQ);
  return (char)RXD;
}
