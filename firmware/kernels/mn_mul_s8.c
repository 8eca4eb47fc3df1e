// SPDX-License-Identifier: Apache-2.0
#include "mn_math.h"
#include "mn_pair.h"
#include "mn_rows.h"
#include "mn_tensor.h"

void mn_mul_s8(const struct mn_mul_s8 *p, const int8_t *in0, const int8_t *in1, int8_t *out, int32_t from, int32_t to)
{
  const int32_t zero0 = p->zero0, zero1 = p->zero1, zero_out = p->zero_out, mantissa = p->mantissa;
  const int32_t left = p->shift > 0 ? p->shift : 0, right = p->shift < 0 ? -p->shift : 0;
  const int32_t low = p->low, high = p->high, step0 = p->pair.step0, step1 = p->pair.step1;
  const struct mn_span rows = mn_span(from, to), run = mn_across(&rows, p->pair.count);
  int32_t index[MN_MAX_LOOPS] = {0};

  for (int32_t row = rows.first; row != rows.end; row += rows.step) {
    struct mn_pair_row at = mn_pair_row(&p->pair, in0, in1, out, row);
    int32_t offset0 = 0, offset1 = 0;

    do {
      const int8_t *a = at.in0 + offset0, *b = at.in1 + offset1;

      for (int32_t i = run.first; i != run.end; i += run.step) {
        const int32_t product = (a[i * step0] - zero0) * (b[i * step1] - zero1);
        const int32_t scaled = mn_rounding_shift(mn_srdhm(mn_shift_left(product, left), mantissa), right);

        at.out[i] = mn_clamp_s8(scaled + zero_out, low, high);
      }
      at.out += p->pair.count;
    } while (mn_next(p->pair.loops, p->pair.depth, index, &offset0, &offset1));
  }
}
