// SPDX-License-Identifier: Apache-2.0
// The RP2040's second boot stage: the boot ROM copies the first 256 bytes of flash to the end of SRAM and runs them there,
// if the last word is their checksum (mcunas/device/boot.py puts it in). It sets the flash interface up for plain serial
// reads (command 03h), which every flash chip knows, and enters the program behind it (RP2040 Datasheet 2.8.1.3 and 4.10).
#include "driver.h"

#define SSI_CTRLR0 REG32(0x18000000u)
#define SSI_CTRLR1 REG32(0x18000004u)
#define SSI_SSIENR REG32(0x18000008u)
#define SSI_BAUDR REG32(0x18000014u)
#define SSI_SPI_CTRLR0 REG32(0x180000F4u)
#define SCB_VTOR REG32(0xE000ED08u)

#define CTRLR0_32_BITS (31u << 16)
#define CTRLR0_EEPROM_READ (3u << 8)
#define SPI_CTRLR0_COMMAND(c) ((uint32_t)(c) << 24)
#define SPI_CTRLR0_COMMAND_8_BITS (2u << 8)
#define SPI_CTRLR0_ADDRESS_24_BITS (6u << 2)
#define DIVIDER 4u  // 31 MHz at 125 MHz: command 03h is good for 50 MHz

#define PROGRAM 0x10000100u

void boot2(void);

__attribute__((section(".boot.0"), noreturn, used)) void boot2(void) {
  SSI_SSIENR = 0;
  SSI_BAUDR = DIVIDER;
  SSI_CTRLR0 = CTRLR0_32_BITS | CTRLR0_EEPROM_READ;
  SSI_CTRLR1 = 0;
  SSI_SPI_CTRLR0 = SPI_CTRLR0_COMMAND(0x03) | SPI_CTRLR0_COMMAND_8_BITS | SPI_CTRLR0_ADDRESS_24_BITS;
  SSI_SSIENR = 1;
  SCB_VTOR = PROGRAM;
  __asm volatile(
    "ldmia %0!, {r1, r2}\n"
    "msr msp, r1\n"
    "bx r2\n"
    :
    : "l"(PROGRAM)
    : "r1", "r2");
  __builtin_unreachable();
}

// Fills the stage up to 252 bytes; the linker script checks the 256.
__attribute__((section(".boot.1"), used)) const uint32_t boot2_checksum = 0;
