// SPDX-License-Identifier: Apache-2.0
// The UARTE of the nRF53 series (the UART without DMA is gone): one-byte transfers to and from RAM.
#include "driver.h"

#define TASKS_STARTRX REG32(BOARD_UART_BASE + 0x000u)
#define TASKS_STARTTX REG32(BOARD_UART_BASE + 0x008u)
#define EVENTS_ENDRX REG32(BOARD_UART_BASE + 0x110u)
#define EVENTS_ENDTX REG32(BOARD_UART_BASE + 0x120u)
#define EVENTS_RXSTARTED REG32(BOARD_UART_BASE + 0x14Cu)
#define SHORTS REG32(BOARD_UART_BASE + 0x200u)
#define ENABLE REG32(BOARD_UART_BASE + 0x500u)
#define PSEL_TXD REG32(BOARD_UART_BASE + 0x50Cu)
#define PSEL_RXD REG32(BOARD_UART_BASE + 0x514u)
#define BAUDRATE REG32(BOARD_UART_BASE + 0x524u)
#define RXD_PTR REG32(BOARD_UART_BASE + 0x534u)
#define RXD_MAXCNT REG32(BOARD_UART_BASE + 0x538u)
#define TXD_PTR REG32(BOARD_UART_BASE + 0x544u)
#define TXD_MAXCNT REG32(BOARD_UART_BASE + 0x548u)

#define GPIO(pin) (0x50842500u + (pin) / 32u * 0x300u)
#define GPIO_OUTSET(pin) REG32(GPIO(pin) + 0x008u)
#define GPIO_DIRSET(pin) REG32(GPIO(pin) + 0x018u)
#define GPIO_PIN_CNF(pin) REG32(GPIO(pin) + 0x200u + (pin) % 32u * 4u)

#define PIN_CNF_INPUT_PULLED_UP (3u << 2)
#define ENABLE_UARTE 8u
#define SHORT_ENDRX_STARTRX (1u << 5)

// Double buffer: while one byte is read the next one arrives in the other. RXD.PTR is taken over at RXSTARTED.
static volatile uint8_t received[2], sent;
static uint32_t reading;

void uart_init(void) {
  GPIO_OUTSET(BOARD_UART_TX) = 1u << BOARD_UART_TX % 32u;  // idle level, before the UARTE takes the pin
  GPIO_DIRSET(BOARD_UART_TX) = 1u << BOARD_UART_TX % 32u;
  GPIO_PIN_CNF(BOARD_UART_RX) = PIN_CNF_INPUT_PULLED_UP;
  PSEL_TXD = BOARD_UART_TX;
  PSEL_RXD = BOARD_UART_RX;
  // The register holds baud * 2^32 / 16 MHz in steps of 4096.
  BAUDRATE = (uint32_t)((((uint64_t)BOARD_UART_BAUD << 32) / 16000000u + 0x800u) & 0xFFFFF000u);
  ENABLE = ENABLE_UARTE;
  SHORTS = SHORT_ENDRX_STARTRX;
  RXD_PTR = (uint32_t)(uintptr_t)&received[0];
  RXD_MAXCNT = 1;
  TASKS_STARTRX = 1;
  (void)wait_for(&EVENTS_RXSTARTED, 1u, 1u);
  EVENTS_RXSTARTED = 0;
  RXD_PTR = (uint32_t)(uintptr_t)&received[1];
}

void uart_putc(char c) {
  sent = (uint8_t)c;
  EVENTS_ENDTX = 0;
  TXD_PTR = (uint32_t)(uintptr_t)&sent;
  TXD_MAXCNT = 1;
  TASKS_STARTTX = 1;
  while (!EVENTS_ENDTX) {
  }
}

char uart_getc(void) {
  while (!EVENTS_ENDRX) {
  }
  EVENTS_ENDRX = 0;
  const char c = (char)received[reading];
  while (!EVENTS_RXSTARTED) {
  }
  EVENTS_RXSTARTED = 0;
  RXD_PTR = (uint32_t)(uintptr_t)&received[reading];  // for the transfer after the one that has just begun
  reading ^= 1u;
  return c;
}
