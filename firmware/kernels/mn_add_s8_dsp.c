// SPDX-License-Identifier: Apache-2.0
// ADD of two tensors of one shape: see mn_add_s8.c. in0 has the larger scale, which makes its scaling a mere shift.
#include "mn_dsp.h"
#include "mn_nn_dsp.h"

#if MN_HAS_DSP

static void add_row(const struct mn_add_s8_dsp *p, const int8_t *a, const int8_t *b, int8_t *out)
{
  const uint32_t zero0 = (uint32_t)p->zero0 << 20, zero1 = (uint32_t)p->zero1 << 21;
  const uint32_t multiplier1 = (uint32_t)p->multiplier1, half1 = UINT32_C(1) << (p->shift1 - 1);
  const uint32_t multiplier_out = (uint32_t)p->multiplier_out;
  const uint32_t half_out = (uint32_t)(2 * p->zero_out + 1) << p->shift_out;
  const int32_t shift1 = p->shift1, shift_out = p->shift_out;

  for (const int8_t *const end = a + p->row_bytes; a != end;) {
    const uint32_t first2 = ((uint32_t)*a++ << 20) - zero0, wide = ((uint32_t)*b++ << 21) - zero1;
    const uint32_t scaled = mn_smmlar(wide, multiplier1, half1) + (uint32_t)((int32_t)wide >> 31);
    const uint32_t sum2 = first2 + ((uint32_t)((int32_t)scaled >> shift1) << 1);
    const uint32_t result = mn_smmlar(sum2, multiplier_out, half_out) + (uint32_t)((int32_t)sum2 >> 31);

    *out++ = (int8_t)mn_saturate_half((uint32_t)((int32_t)result >> shift_out));
  }
}

void mn_add_s8_dsp(const struct mn_add_s8_dsp *p, const int8_t *in0, const int8_t *in1, int8_t *out, int32_t from,
                   int32_t to)
{
  const int32_t step = from < to ? 1 : -1;

  for (int32_t k = from; k != to; k += step) {
    const int32_t row = step > 0 ? k : k - 1;
    int8_t *const out_row = out + row % p->out_ring * p->row_bytes;

    add_row(p, in0 + row % p->ring0 * p->row_bytes, in1 + row % p->ring1 * p->row_bytes, out_row);
    if (p->low > INT8_MIN || p->high < INT8_MAX) {
      mn_clamp_bytes(out_row, p->row_bytes, p->low, p->high);
    }
  }
}

#endif
