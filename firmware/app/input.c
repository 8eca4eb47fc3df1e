// SPDX-License-Identifier: Apache-2.0
// The input tensors as one run of bytes. They live in a copy behind the arena where RAM is left, because inference
// overwrites the arena's; otherwise in the arena itself, and then one load serves one inference.
#include <string.h>

#include "app.h"
#include "platform.h"

static uint32_t received, line_start;
static bool loaded, line_is_bad, half_digit;
static uint8_t high_digit;
static bool expecting;

uint32_t input_bytes(void) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < app_model->inputs; i++)
    sum += app_model->input[i].bytes;
  return sum;
}

bool input_is_kept(void) {
  return (uintptr_t)_spare_end - (uintptr_t)_spare_start >= input_bytes();
}

uint8_t *input_at(uint32_t index) {
  if (input_is_kept())
    return _spare_start + index;
  const struct mn_tensor *tensor = app_model->input;
  for (; index >= tensor->bytes; tensor++)
    index -= tensor->bytes;
  return app_arena + tensor->offset + index;
}

__attribute__((weak)) uint32_t load_bytes(void) {
  return input_bytes();
}

__attribute__((weak)) uint8_t *load_at(uint32_t index) {
  return input_at(index);
}

__attribute__((weak)) void load_done(void) {
}

void input_expect(uint32_t bytes) {
  if (bytes != load_bytes()) {
    put_text("e-[The model takes ");
    put_u32(load_bytes());
    put_text(" bytes]\r\n");
    return;
  }
  received = 0;
  loaded = false;
  expecting = true;
  infer_forget_results();
  put_text("m-[Expecting ");
  put_u32(bytes);
  put_text(" bytes]\r\n");
}

void input_line_begin(void) {
  line_start = received;
  line_is_bad = half_digit = false;
}

void input_line_digit(char c) {
  uint32_t digit = (uint32_t)(c - '0');
  if (digit > 9u) {
    digit = (uint32_t)((c | 0x20) - 'a') + 10u;
    if (digit < 10u || digit > 15u)
      line_is_bad = true;
  }
  if (!half_digit) {
    high_digit = (uint8_t)(digit << 4);
  } else if (!expecting || line_is_bad || received >= load_bytes()) {
    line_is_bad = true;
  } else {
    *load_at(received++) = (uint8_t)(high_digit | digit);
  }
  half_digit = !half_digit;
}

void input_line_end(void) {
  if (!expecting) {
    put_error("No load in progress: send db load first");
  } else if (line_is_bad || half_digit) {
    // A line counts as a whole or not at all, so that the host may send it again.
    received = line_start;
    put_error("Bad data: not pairs of hex digits, or more bytes than announced");
  } else if (received == load_bytes()) {
    expecting = false;
    loaded = true;
    load_done();
    put_text("m-load-done\r\n");
  }
}

void input_print(void) {
  if (!loaded) {
    put_error("No input");
    return;
  }
  for (uint32_t i = 0; i < input_bytes(); i++) {
    if (i % 32u == 0u)
      put_text(i ? "\r\nm-buffer-" : "m-buffer-");
    put_hex_byte(*input_at(i));
  }
  put_end();
}

// xorshift32, four bytes a step, least significant first. mcunas/device/random_input.py does the same.
static uint8_t next_random(uint32_t *state, uint32_t index) {
  if (index % 4u == 0u) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
  }
  return (uint8_t)(*state >> (index % 4u * 8u));
}

// The bits of value / 32 as float, in integers: soft floating point would cost 800 bytes of flash.
static uint32_t float_of_32nds(int32_t value) {
  if (value == 0)
    return 0;
  uint32_t exponent = 127u - 5u + 23u, mantissa = (uint32_t)(value < 0 ? -value : value);
  for (; mantissa < 1u << 23; mantissa <<= 1)
    exponent--;
  return (value < 0 ? 1u << 31 : 0u) | exponent << 23 | (mantissa & 0x7FFFFFu);
}

// The host compares this with what it meant to send.
static void put_crc32(void) {
  uint32_t crc = 0;
  for (uint32_t i = 0; i < input_bytes(); i++)
    crc = crc32_update(crc, input_at(i), 1);
  put_text("m-input-crc32-[");
  put_hex32(crc);
  put_text("]\r\n");
}

void input_fill(uint32_t seed) {
  uint32_t state = (seed + 1u) * 0x9E3779B9u, drawn = 0, at = 0;
  if (!state)
    state = 1;
  for (uint32_t i = 0; i < app_model->inputs; i++) {
    const struct mn_tensor *tensor = &app_model->input[i];
    for (uint32_t end = at + tensor->bytes; at < end;) {
      if (tensor->dtype == MN_FLOAT32) {
        // -4 to 4 in steps of 1/32: exact, and a sane range for whatever was normalized.
        const uint32_t bits = float_of_32nds((int8_t)next_random(&state, drawn++));
        for (uint32_t shift = 0; shift < 32u; shift += 8u)
          *input_at(at++) = (uint8_t)(bits >> shift);
      } else {
        *input_at(at++) = next_random(&state, drawn++);
      }
    }
  }
  expecting = false;
  loaded = true;
  infer_forget_results();
}

void input_seed(uint32_t seed) {
  input_fill(seed);
  put_crc32();
}

void input_receive(void) {
  for (uint32_t i = 0; i < input_bytes(); i++)
    *input_at(i) = (uint8_t)uart_getc();
  expecting = false;
  loaded = true;
  infer_forget_results();
  put_crc32();
}

bool input_allows(uint32_t inferences) {
  if (!loaded)
    put_error("No input: send db load or seed first");
  else if (inferences > 1u && !input_is_kept())
    put_error("No RAM is left to keep the input: one inference per load");
  else
    return true;
  return false;
}

void input_to_arena(void) {
  if (!input_is_kept()) {
    loaded = false;
    return;
  }
  const uint8_t *from = _spare_start;
  for (uint32_t i = 0; i < app_model->inputs; from += app_model->input[i++].bytes)
    memcpy(app_arena + app_model->input[i].offset, from, app_model->input[i].bytes);
}
