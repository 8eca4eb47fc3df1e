// SPDX-License-Identifier: Apache-2.0
// The nine taps of a 3x3 window: where its rows lie in the input, or copies of them where padding belongs to them.
#ifndef MN_PATCH_H
#define MN_PATCH_H

#include <stdint.h>
#include <string.h>

#include "mn_rows.h"

struct mn_patch {
  const int8_t *in;
  int8_t *copies;                          // three runs
  int32_t in_h, row_bytes, in_ring;
  int32_t row_end;                         // of the last pixel's channels
  int32_t run_bytes;                       // of three pixels, up to the last one's channels
  int8_t zero_point;
};

static inline int32_t mn_is_aligned(const void *x)
{
  return ((uintptr_t)x & 3) == 0;
}

// memcpy and memset of a few bytes, mostly whole words.
static inline void mn_copy_bytes(int8_t *to, const int8_t *from, int32_t count)
{
  if (mn_is_aligned(to) && mn_is_aligned(from)) {
    for (; count >= 4; count -= 4, to += 4, from += 4) {
      memcpy(__builtin_assume_aligned(to, 4), __builtin_assume_aligned(from, 4), 4);
    }
  }
  for (; count > 0; count--) {
    *to++ = *from++;
  }
}

static inline void mn_fill_bytes(int8_t *to, int8_t value, int32_t count)
{
  if (mn_is_aligned(to)) {
    const uint32_t word = (uint8_t)value * UINT32_C(0x01010101);

    for (; count >= 4; count -= 4, to += 4) {
      memcpy(__builtin_assume_aligned(to, 4), &word, 4);
    }
  }
  for (; count > 0; count--) {
    *to++ = value;
  }
}

// Sets row[3] to the first taps of the window whose first row is input row y and begins at its byte `at`.
static inline void mn_patch_rows(const struct mn_patch *p, int32_t y, int32_t at, const int8_t *row[3])
{
  const int32_t run = p->run_bytes, before = at < 0 ? (-at < run ? -at : run) : 0, room = p->row_end - at;
  const int32_t end = room < run ? (room > before ? room : before) : run;
  int8_t *copy = p->copies;

  for (int32_t i = 0; i < 3; i++, y++, copy += run) {
    row[i] = copy;
    if (y < 0 || y >= p->in_h) {
      mn_fill_bytes(copy, p->zero_point, run);
      continue;
    }
    const int8_t *const line = p->in + mn_slot(y, p->in_ring) * p->row_bytes;

    if (end - before == run) {
      row[i] = line + at;
    } else {
      mn_fill_bytes(copy, p->zero_point, before);
      mn_copy_bytes(copy + before, line + (at + before), end - before);
      mn_fill_bytes(copy + end, p->zero_point, run - end);
    }
  }
}

#endif
