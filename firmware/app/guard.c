// SPDX-License-Identifier: Apache-2.0
// Painted bytes below the stack and behind the arena. A change means that something ran over the end.
#include <string.h>

#include "app.h"
#include "platform.h"

void guard_paint(uint8_t pattern) {
  memset(_guard_start, pattern, (size_t)(_guard_end - _guard_start));
  for (uint32_t i = 0; i < STACK_GUARD_BYTES / 4u; i++)
    _stack_bottom[i] = STACK_PAINT;
}

bool guard_check(uint8_t pattern) {
  bool arena_holds = true, stack_holds = true;
  for (const uint8_t *at = _guard_start; at < _guard_end; at++)
    arena_holds &= *at == pattern;
  for (uint32_t i = 0; i < STACK_GUARD_BYTES / 4u; i++)
    stack_holds &= _stack_bottom[i] == STACK_PAINT;
  if (!arena_holds)
    put_error("Arena overflow: the model wrote behind its arena");
  if (!stack_holds)
    put_error("Stack overflow: the stack's lowest bytes were overwritten");
  if (!arena_holds || !stack_holds)
    guard_paint(pattern);
  return arena_holds && stack_holds;
}
