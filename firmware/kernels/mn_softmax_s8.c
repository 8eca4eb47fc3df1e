// SPDX-License-Identifier: Apache-2.0
// Fixed-point softmax. exp() is a polynomial on [-1/4, 0) and one constant factor per bit of the rest; the sum is kept
// in Q12.19 and inverted with three Newton-Raphson steps. Constants are Q0.31 unless said otherwise.
#include "mn_math.h"
#include "mn_nn.h"

#define ONE INT32_MAX
#define QUARTER (INT32_C(1) << 24)        // Q5.26
#define EXP_MINUS_EIGHTH 1895147668
#define THIRD 715827883
#define Q2_ONE (INT32_C(1) << 29)         // Q2.29
#define Q2_48_OVER_17 1515870810
#define Q2_MINUS_32_OVER_17 (-1010580540)

static int32_t shift_left_saturating(int32_t x, int32_t bits)
{
  const int64_t wide = (int64_t)x * (INT32_C(1) << bits);

  return wide > INT32_MAX ? INT32_MAX : wide < INT32_MIN ? INT32_MIN : (int32_t)wide;
}

// exp(a) for a in [-1/4, 0): Taylor series about -1/8.
static int32_t exp_on_interval(int32_t a)
{
  const int32_t x = a + (INT32_C(1) << 28);
  const int32_t x2 = mn_srdhm(x, x);
  const int32_t x3 = mn_srdhm(x2, x);
  const int32_t x4 = mn_srdhm(x2, x2);
  const int32_t tail = mn_srdhm(mn_rounding_shift(x4, 2) + x3, THIRD) + x2;

  return EXP_MINUS_EIGHTH + mn_srdhm(EXP_MINUS_EIGHTH, x + mn_rounding_shift(tail, 1));
}

// exp(a) for a <= 0 in Q5.26.
static int32_t exp_on_negative_values(int32_t a)
{
  // exp(-2^k) for k = -2 .. 4
  static const int32_t factors[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
  const int32_t low = (a & (QUARTER - 1)) - QUARTER;
  const int32_t rest = low - a;
  int32_t result = exp_on_interval(low * 32);

  if (a == 0) {
    return ONE;
  }
  for (int32_t k = 0; k < 7; k++) {
    if ((rest >> (24 + k)) & 1) {
      result = mn_srdhm(result, factors[k]);
    }
  }
  return result;
}

// 1 / (1 + a) for a in [0, 1).
static int32_t one_over_one_plus_x(int32_t a)
{
  const int32_t half = (int32_t)(((int64_t)a + (INT64_C(1) << 31)) >> 1);
  int32_t x = Q2_48_OVER_17 + mn_srdhm(half, Q2_MINUS_32_OVER_17);

  for (int32_t i = 0; i < 3; i++) {
    x = mn_add_wrap(x, shift_left_saturating(mn_srdhm(x, Q2_ONE - mn_srdhm(half, x)), 2));
  }
  return shift_left_saturating(x, 1);
}

static int32_t scaled_exp(const struct mn_softmax_s8 *p, int32_t difference)
{
  return exp_on_negative_values(mn_srdhm(mn_shift_left(difference, p->shift), p->multiplier));
}

static void row_softmax(const struct mn_softmax_s8 *p, const int8_t *in, int8_t *out)
{
  int32_t largest = INT8_MIN;
  int32_t headroom = 0;
  uint32_t sum = 0;

  for (uint32_t i = 0; i < p->depth; i++) {
    largest = in[i] > largest ? in[i] : largest;
  }
  for (uint32_t i = 0; i < p->depth; i++) {
    if (in[i] - largest >= p->diff_min) {
      sum += (uint32_t)mn_rounding_shift(scaled_exp(p, in[i] - largest), 12);
    }
  }
  while (!(sum >> 31)) {        // the maximum itself contributes 1.0, so the sum is not zero
    sum <<= 1;
    headroom++;
  }
  const int32_t scale = one_over_one_plus_x((int32_t)(sum & INT32_MAX));
  const int32_t exponent = 12 - headroom + 23;

  for (uint32_t i = 0; i < p->depth; i++) {
    int32_t value = 0;

    if (exponent <= 31 && in[i] - largest >= p->diff_min) {
      value = mn_rounding_shift(mn_srdhm(scale, scaled_exp(p, in[i] - largest)), exponent);
    }
    out[i] = mn_clamp_s8(value + INT8_MIN, INT8_MIN, INT8_MAX);
  }
}

void mn_softmax_s8(const struct mn_softmax_s8 *p, const int8_t *in, int8_t *out)
{
  for (uint32_t row = 0; row < p->rows; row++, in += p->depth, out += p->depth) {
    row_softmax(p, in, out);
  }
}
