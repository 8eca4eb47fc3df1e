// SPDX-License-Identifier: Apache-2.0
#include "mn_loops.h"
#include "mn_math.h"
#include "mn_nn_s16.h"
#include "mn_rows.h"
#include "mn_s16.h"

void mn_mul_s16(const struct mn_mul_s16 *p, const int16_t *in0, const int16_t *in1, int16_t *out, int32_t from, int32_t to)
{
  const int32_t mantissa = p->mantissa, right = p->shift, low = p->low, high = p->high;
  const int32_t step0 = p->pair.step0, step1 = p->pair.step1;
  const struct mn_span rows = mn_span(from, to), run = mn_across(&rows, p->pair.count);
  int32_t index[MN_MAX_LOOPS] = {0};

  for (int32_t row = rows.first; row != rows.end; row += rows.step) {
    const int16_t *const row0 = in0 + mn_slot(row, p->pair.ring0) * p->pair.row0;
    const int16_t *const row1 = in1 + mn_slot(row, p->pair.ring1) * p->pair.row1;
    int16_t *result = out + mn_slot(row, p->pair.out_ring) * p->pair.row_out;
    int32_t offset0 = 0, offset1 = 0;

    do {
      const int16_t *a = row0 + offset0, *b = row1 + offset1;

      for (int32_t i = run.first; i != run.end; i += run.step) {
        const int32_t product = a[i * step0] * b[i * step1];

        result[i] = mn_clamp_s16(mn_rounding_shift(mn_srdhm(product, mantissa), right), low, high);
      }
      result += p->pair.count;
    } while (mn_next(p->pair.loops, p->pair.depth, index, &offset0, &offset1));
  }
}
