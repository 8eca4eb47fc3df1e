// SPDX-License-Identifier: Apache-2.0
// What the chip says of itself, for comparison with the board file: its id, its clock, and whether its RAM is all there.
#include "app.h"
#include "board.h"
#include "platform.h"

static const struct {
  uint32_t origin, bytes;
} ram[] = BOARD_RAM;

// A memory smaller than the board file says faults at its end, or shows the same words again at half its size.
static bool ram_is_there(uint32_t origin, uint32_t bytes) {
  volatile uint32_t *const end = (volatile uint32_t *)(uintptr_t)(origin + bytes - 4u);
  volatile uint32_t *const half = (volatile uint32_t *)(uintptr_t)(origin + bytes / 2u - 4u);
  const uint32_t at_end = *end, at_half = *half;
  *end = 0x600DF00Du;
  *half = 0x0BADF00Du;
  const bool is_there = *end == 0x600DF00Du && *half == 0x0BADF00Du;
  *half = at_half;
  *end = at_end;
  return is_there;
}

static void put_field(const char *name, uint32_t value) {
  put_text(name);
  put_u32(value);
}

// The host compares this with the file that it means to be talking to.
static uint32_t image_crc32(void) {
  return crc32_update(0, _image_start, (uint32_t)(_image_end - _image_start));
}

void board_print(void) {
  uint32_t missing = 0;
  for (uint32_t i = 0; i < sizeof ram / sizeof ram[0]; i++)
    missing |= ram_is_there(ram[i].origin, ram[i].bytes) ? 0u : 1u << i;
#ifdef BOARD_CHIP_ID
  put_field("m-board-[id=", REG32(BOARD_CHIP_ID));
#else
  put_field("m-board-[id=", 0);
#endif
  put_field(",core_hz=", chip.core_hz);
  put_field(",missing=", missing);
  put_field(",image=", image_crc32());
  put_text("]\r\n");
}
