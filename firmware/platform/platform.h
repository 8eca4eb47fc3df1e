// SPDX-License-Identifier: Apache-2.0
// What the application needs of a chip: a serial port, a timer, and the memory that the linker script laid out.
// Drivers are chosen by the board file: uart_<driver>.c and timer_<driver>.c implement the functions below.
#ifndef MCUNAS_PLATFORM_H
#define MCUNAS_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

#define REG32(address) (*(volatile uint32_t *)(uintptr_t)(address))

#define STACK_PAINT 0xC5C5C5C5u
#define STACK_GUARD_BYTES 16u  // the lowest bytes of the stack; touched means overflown

// <family>/chip.c, or chip_fixed.c: clocks, flash, caches, and the pins and clocks of console and timer. Where the clock
// cannot be reached core_hz says what runs instead.
struct chip {
  uint32_t core_hz, uart_hz;
};
extern struct chip chip;
void chip_init(void);

void uart_init(void);
void uart_putc(char c);
char uart_getc(void);  // waits

void timer_start(void);      // (re)start from zero
uint32_t timer_ticks(void);  // since timer_start, modulo 2^32, at BOARD_TIMER_HZ

void fault_handler(void);
void reset_handler(void);

// Symbols of the linker script; only their addresses mean something.
extern uint32_t _stack_bottom[], _stack_top[];
extern uint32_t _data_load[], _data_start[], _data_end[], _bss_start[], _bss_end[];
extern const uint8_t _image_start[], _image_end[];  // all that lies in flash
extern uint8_t _guard_start[], _guard_end[];  // behind the arena
extern uint8_t _spare_start[], _spare_end[];  // RAM behind the guard that nothing else uses

#endif
