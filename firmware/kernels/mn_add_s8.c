// SPDX-License-Identifier: Apache-2.0
// ADD and SUB: both operands are brought to twice the larger input scale with 20 extra bits, then to the output scale.
#include "mn_math.h"
#include "mn_pair.h"
#include "mn_rows.h"
#include "mn_tensor.h"

// A real multiplier below 1: Q31 mantissa and right shift, the rounding constants taken out of the loop.
struct scale {
  int32_t mantissa, shift, half, sign;
};

static inline struct scale prepare(int32_t mantissa, int32_t shift)
{
  const struct scale s = {mantissa, shift, shift > 0 ? INT32_C(1) << (shift - 1) : 0, shift > 0 ? -1 : 0};

  return s;
}

// |x| <= 2^29, so that adding half a unit cannot leave int32. Ties away from zero: one less for negative values.
static inline int32_t scaled(int32_t x, const struct scale *s)
{
  const int32_t high = mn_srdhm(x, s->mantissa);

  return (high + s->half + ((high >> 31) & s->sign)) >> s->shift;
}

void mn_add_s8(const struct mn_add_s8 *p, const int8_t *in0, const int8_t *in1, int8_t *out, int32_t from, int32_t to)
{
  const struct scale scale0 = prepare(p->mantissa0, p->shift0);
  const struct scale scale1 = prepare(p->mantissa1, p->shift1);
  const struct scale scale_out = prepare(p->mantissa_out, p->shift_out);
  const int32_t zero0 = p->zero0, zero1 = p->zero1, zero_out = p->zero_out, negate = p->negate;
  const int32_t low = p->low, high = p->high, step0 = p->pair.step0, step1 = p->pair.step1;
  const struct mn_span rows = mn_span(from, to), run = mn_across(&rows, p->pair.count);
  int32_t index[MN_MAX_LOOPS] = {0};

  for (int32_t row = rows.first; row != rows.end; row += rows.step) {
    struct mn_pair_row at = mn_pair_row(&p->pair, in0, in1, out, row);
    int32_t offset0 = 0, offset1 = 0;

    do {
      const int8_t *a = at.in0 + offset0, *b = at.in1 + offset1;

      for (int32_t i = run.first; i != run.end; i += run.step) {
        const int32_t first = scaled((a[i * step0] - zero0) * (INT32_C(1) << 20), &scale0);
        const int32_t second = scaled((b[i * step1] - zero1) * (INT32_C(1) << 20), &scale1);
        const int32_t sum = first + (second ^ negate) - negate;

        at.out[i] = mn_clamp_s8(scaled(sum, &scale_out) + zero_out, low, high);
      }
      at.out += p->pair.count;
    } while (mn_next(p->pair.loops, p->pair.depth, index, &offset0, &offset1));
  }
}
