// SPDX-License-Identifier: Apache-2.0
#include "mn_loops.h"
#include "mn_math.h"
#include "mn_tensor.h"

void mn_mul_s8(const struct mn_mul_s8 *p, const int8_t *in0, const int8_t *in1, int8_t *out)
{
  const int32_t zero0 = p->zero0, zero1 = p->zero1, zero_out = p->zero_out, mantissa = p->mantissa;
  const int32_t left = p->shift > 0 ? p->shift : 0, right = p->shift < 0 ? -p->shift : 0;
  const int32_t low = p->low, high = p->high, count = p->count, step0 = p->step0, step1 = p->step1;
  int32_t index[MN_MAX_LOOPS] = {0}, offset0 = 0, offset1 = 0;

  do {
    const int8_t *a = in0 + offset0, *b = in1 + offset1;

    for (int32_t i = 0; i < count; i++) {
      const int32_t product = (a[i * step0] - zero0) * (b[i * step1] - zero1);
      const int32_t scaled = mn_rounding_shift(mn_srdhm(mn_shift_left(product, left), mantissa), right);

      *out++ = mn_clamp_s8(scaled + zero_out, low, high);
    }
  } while (mn_next(p->loops, p->depth, index, &offset0, &offset1));
}
