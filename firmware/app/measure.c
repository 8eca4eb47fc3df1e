// SPDX-License-Identifier: Apache-2.0
// What the model really uses: arena, stack, instructions. The host compares these with the compiler's promises.
#include <string.h>

#include "app.h"
#include "board.h"
#include "platform.h"

uint32_t stack_used(void) {
  const uint32_t *at = _stack_bottom;
  while (at < _stack_top && *at == STACK_PAINT)
    at++;
  return (uint32_t)(_stack_top - at) * 4u;
}

#if BOARD_ARENAS > 1
static uint32_t further_used[BOARD_ARENAS];

static void further_paint(uint8_t pattern) {
  for (uint8_t *const *part = app_further; *part; part += 2)
    memset(part[0], pattern, (size_t)(part[1] - part[0]));
}

static void further_measure(uint8_t pattern) {
  uint32_t *used = further_used;
  for (uint8_t *const *part = app_further; *part; part += 2, used++) {
    uint32_t bytes = (uint32_t)(part[1] - part[0]);
    while (bytes > *used && part[0][bytes - 1u] == pattern)
      bytes--;
    *used = bytes;
  }
}

static void further_print(void) {
  for (uint32_t k = 0; app_further[2u * k]; k++) {
    put_text(",further_");
    put_u32(k);
    put_text("=");
    put_u32(further_used[k]);
  }
}
#endif

// The highest byte of the arena that one inference on a painted arena changes.
static uint32_t arena_used_over(uint8_t pattern) {
  if (!input_is_kept())
    input_fill(0);  // the last inference overwrote the input, and both paintings must see the same one
  uint32_t used = app_model->arena_bytes;
  if (input_is_kept()) {
    memset(app_arena, pattern, used);
  } else {
    // The input lies in the arena: paint around it.
    for (uint32_t at = 0; at < used; at++) {
      bool is_input = false;
      for (uint32_t i = 0; i < app_model->inputs; i++)
        is_input |= at - app_model->input[i].offset < app_model->input[i].bytes;
      if (!is_input)
        app_arena[at] = pattern;
    }
  }
#if BOARD_ARENAS > 1
  further_paint(pattern);
#endif
  guard_paint(pattern);
  input_to_arena();
  app_model->invoke(app_arena);
#if BOARD_ARENAS > 1
  further_measure(pattern);
#endif
  while (used && app_arena[used - 1u] == pattern)
    used--;
  return used;
}

static void put_field(const char *name, uint32_t value) {
  put_text(name);
  put_u32(value);
}

__attribute__((weak)) void measure_memory(void) {
  if (input_is_kept() && !input_allows(2))
    return;
  // Twice over different paint: a byte that happens to equal one pattern differs from the other.
  const uint32_t one = arena_used_over(0xA5u);
  const bool one_holds = guard_check(0xA5u);
  const uint32_t two = arena_used_over(0x5Au);
  const bool two_holds = guard_check(0x5Au);
  guard_paint(GUARD_PATTERN);
  if (!one_holds || !two_holds)
    return;
  put_field("m-mem-[arena=", app_model->arena_bytes);
  put_field(",arena_used=", one > two ? one : two);
  put_field(",stack=", (uint32_t)(_stack_top - _stack_bottom) * 4u);
  put_field(",stack_used=", stack_used());
  put_field(",input=", input_bytes());
  put_field(",input_kept=", input_is_kept() ? 1u : 0u);
#if BOARD_ARENAS > 1
  further_print();
#endif
  put_text("]\r\n");
}

static void invoke_nothing(uint8_t *arena) {
  (void)arena;
}

void measure_instructions(void) {
  if (!input_allows(1))
    return;
  const uint32_t empty = clock_ticks_of(invoke_nothing);
  input_to_arena();
  const uint32_t ticks = clock_ticks_of(app_model->invoke);
  put_field("m-bench-[ticks=", ticks);
  put_field(",empty=", empty);
  put_text("]\r\n");
}
