// SPDX-License-Identifier: Apache-2.0
// Pins of the STM32 families with MODER registers (all but F1).
#ifndef MCUNAS_STM32_GPIO_H
#define MCUNAS_STM32_GPIO_H

#include "driver.h"

#define GPIO_MODER(port) REG32((port) + 0x00u)
#define GPIO_OSPEEDR(port) REG32((port) + 0x08u)
#define GPIO_PUPDR(port) REG32((port) + 0x0Cu)
#define GPIO_AFR(port, bit) REG32((port) + 0x20u + (bit) / 8u * 4u)

// pin: port * 16 + bit. The port's clock is on.
static inline void gpio_alternate(uint32_t first_port, uint32_t pin, uint32_t function) {
  const uint32_t port = first_port + pin / 16u * 0x400u, bit = pin % 16u;
  GPIO_AFR(port, bit) = (GPIO_AFR(port, bit) & ~(15u << bit % 8u * 4u)) | function << bit % 8u * 4u;
  GPIO_OSPEEDR(port) |= 1u << bit * 2u;
  GPIO_PUPDR(port) = (GPIO_PUPDR(port) & ~(3u << bit * 2u)) | 1u << bit * 2u;  // up: an open line is idle
  GPIO_MODER(port) = (GPIO_MODER(port) & ~(3u << bit * 2u)) | 2u << bit * 2u;
}

static inline void gpio_console(uint32_t first_port) {
  gpio_alternate(first_port, BOARD_UART_TX, BOARD_UART_AF);
  gpio_alternate(first_port, BOARD_UART_RX, BOARD_UART_AF);
}

// The clock-enable bits of the console's ports, where port A's is bit 0.
#define CONSOLE_PORTS (1u << BOARD_UART_TX / 16u | 1u << BOARD_UART_RX / 16u)

#endif
