// SPDX-License-Identifier: Apache-2.0
#include "mn_math.h"
#include "mn_pair.h"
#include "mn_rows.h"
#include "mn_tensor.h"

void mn_mul_s8(const struct mn_mul_s8 *p, const int8_t *in0, const int8_t *in1, int8_t *out, int32_t from, int32_t to)
{
  const int32_t zero0 = p->zero0, zero1 = p->zero1, zero_out = p->zero_out, mantissa = p->mantissa;
  const int32_t left = p->shift > 0 ? p->shift : 0, right = p->shift < 0 ? -p->shift : 0;
  const int32_t low = p->low, high = p->high, count = p->pair.count, step0 = p->pair.step0, step1 = p->pair.step1;
  const struct mn_span rows = mn_span(from, to);

  for (int32_t row = rows.first; row != rows.end; row += rows.step) {
    struct mn_pair_row at = mn_pair_row(&p->pair, in0, in1, out, row);

    do {
      const int8_t *a = at.in0 + at.offset0, *b = at.in1 + at.offset1;

      for (int32_t i = 0; i < count; i++) {
        const int32_t product = (a[i * step0] - zero0) * (b[i * step1] - zero1);
        const int32_t scaled = mn_rounding_shift(mn_srdhm(mn_shift_left(product, left), mantissa), right);

        *at.out++ = mn_clamp_s8(scaled + zero_out, low, high);
      }
    } while (mn_pair_next(&p->pair, &at));
  }
}
