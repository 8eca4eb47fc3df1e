// SPDX-License-Identifier: Apache-2.0
// memcpy and memset in a few bytes of flash, for builds whose goal is size: the C library's are made for speed.
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memset(void *to, int value, size_t count);

// Else the loops would be recognized and replaced by calls of themselves.
#define VERBATIM __attribute__((used, optimize("no-tree-loop-distribute-patterns")))

VERBATIM void *memcpy(void *restrict to, const void *restrict from, size_t count) {
  uint8_t *out = to;
  const uint8_t *in = from;
  while (count--)
    *out++ = *in++;
  return to;
}

VERBATIM void *memset(void *to, int value, size_t count) {
  uint8_t *out = to;
  while (count--)
    *out++ = (uint8_t)value;
  return to;
}
