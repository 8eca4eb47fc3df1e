// SPDX-License-Identifier: Apache-2.0
// Printing without libc's printf, which would bring malloc and 20 KB.
#include <string.h>

#include "app.h"
#include "platform.h"

static uint32_t crc;  // of what was printed since answer_start

void answer_start(void) {
  crc = 0;
}

uint32_t answer_crc32(void) {
  return crc;
}

void put_char(char c) {
  const uint8_t byte = (uint8_t)c;
  crc = crc32_update(crc, &byte, 1);
  uart_putc(c);
}

void put_text(const char *text) {
  while (*text)
    put_char(*text++);
}

void put_clean(const char *text) {
  for (; *text; text++)
    put_char(*text >= ' ' && *text <= '~' && *text != ']' ? *text : '?');
}

void put_u32(uint32_t value) {
  char digits[11];
  uint32_t at = sizeof digits - 1;
  digits[at] = 0;
  do {
    digits[--at] = (char)('0' + value % 10u);
    value /= 10u;
  } while (value);
  put_text(digits + at);
}

void put_u64(uint64_t value) {
  // Repeated subtraction, because a 64-bit division costs flash and these are hours in microseconds at most.
  uint32_t billions = 0;
  for (; value >= 1000000000u; value -= 1000000000u)
    billions++;
  uint32_t rest = (uint32_t)value;
  if (billions) {
    put_u32(billions);
    for (uint32_t unit = 100000000u; unit > 1u && rest < unit; unit /= 10u)
      put_char('0');
  }
  put_u32(rest);
}

void put_hex_byte(uint8_t byte) {
  put_char("0123456789abcdef"[byte >> 4]);
  put_char("0123456789abcdef"[byte & 15u]);
}

void put_hex32(uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8)
    put_hex_byte((uint8_t)(value >> shift));
}

void put_scaled(int32_t value, float scale) {
  // In integers, because floating point would cost a core without FPU 2 KB of library. scale = mantissa * 2^exponent.
  uint32_t bits;
  memcpy(&bits, &scale, sizeof bits);
  const int32_t exponent = (int32_t)((bits >> 23) & 0xFFu) - 150;
  const uint32_t mantissa = (bits & 0x7FFFFFu) | 0x800000u;
  uint64_t thousandths = (uint64_t)(value < 0 ? 0u - (uint32_t)value : (uint32_t)value) * mantissa * 1000u;
  if (exponent <= -64)
    thousandths = 0;
  else if (exponent < 0)  // otherwise it is 0 or beyond what is shown: 2^23 * 1000 exceeds 32 bits
    thousandths = (thousandths + (UINT64_C(1) << (-exponent - 1))) >> -exponent;
  const uint32_t shown = thousandths > UINT32_MAX ? UINT32_MAX : (uint32_t)thousandths;
  if ((value < 0) != ((bits >> 31) != 0) && shown)
    put_char('-');
  put_u32(shown / 1000u);
  put_char('.');
  put_char((char)('0' + shown / 100u % 10u));
  put_char((char)('0' + shown / 10u % 10u));
  put_char((char)('0' + shown % 10u));
}

void put_end(void) {
  put_text("\r\n");
}

void put_error(const char *text) {
  put_text("e-[");
  put_text(text);
  put_text("]\r\n");
}
