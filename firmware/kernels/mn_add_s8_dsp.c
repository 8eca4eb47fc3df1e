// SPDX-License-Identifier: Apache-2.0
// ADD and SUB of two tensors of one shape as one linear form, four elements at a time.
#include "mn_dsp.h"
#include "mn_nn_dsp.h"
#include "mn_rows.h"

#if MN_HAS_DSP

static inline int8_t sum(const struct mn_add_s8_dsp *p, int8_t a, int8_t b)
{
  const uint32_t first = mn_mla((uint32_t)a, (uint32_t)p->factor0, (uint32_t)p->constant);
  const uint32_t both = mn_mla((uint32_t)b, (uint32_t)p->factor1, first);

  return (int8_t)mn_saturate_byte((uint32_t)((int32_t)both >> p->shift));
}

static void add_row(const struct mn_add_s8_dsp *params, const int8_t *a, const int8_t *b, int8_t *out)
{
  const struct mn_add_s8_dsp p = *params;                   // in registers while bytes are written
  const int8_t *const end = a + p.row_bytes, *const fours = end - p.row_bytes % 4;

  for (; a != fours; a += 4, b += 4, out += 4) {
    const uint32_t x = mn_load_word(a), y = mn_load_word(b);

    out[0] = sum(&p, (int8_t)x, (int8_t)y);
    out[1] = sum(&p, (int8_t)(x >> 8), (int8_t)(y >> 8));
    out[2] = sum(&p, (int8_t)(x >> 16), (int8_t)(y >> 16));
    out[3] = sum(&p, (int8_t)(x >> 24), (int8_t)(y >> 24));
  }
  while (a != end) {
    *out++ = sum(&p, *a++, *b++);
  }
}

void mn_add_s8_dsp(const struct mn_add_s8_dsp *p, const int8_t *in0, const int8_t *in1, int8_t *out, int32_t from,
                   int32_t to)
{
  const struct mn_span rows = mn_span(from, to);

  for (int32_t y = rows.first; y != rows.end; y += rows.step) {
    int8_t *const out_row = out + mn_slot(y, p->out_ring) * p->row_bytes;

    add_row(p, in0 + mn_slot(y, p->ring0) * p->row_bytes, in1 + mn_slot(y, p->ring1) * p->row_bytes, out_row);
    if (p->low > INT8_MIN || p->high < INT8_MAX) {
      mn_clamp_bytes(out_row, p->row_bytes, p->low, p->high);
    }
  }
}

#endif
