// SPDX-License-Identifier: Apache-2.0
// ADD and SUB: both operands are brought to twice the larger input scale with 15 extra bits, then to the output scale.
#include "mn_loops.h"
#include "mn_math.h"
#include "mn_nn_s16.h"
#include "mn_rows.h"
#include "mn_s16.h"

void mn_add_s16(const struct mn_add_s16 *p, const int16_t *in0, const int16_t *in1, int16_t *out, int32_t from, int32_t to)
{
  const int32_t negate = p->negate, step0 = p->pair.step0, step1 = p->pair.step1;
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
        const int32_t first = mn_scale(a[i * step0] * (INT32_C(1) << 15), p->mantissa0, -p->shift0);
        const int32_t second = mn_scale(b[i * step1] * (INT32_C(1) << 15), p->mantissa1, -p->shift1);
        const int32_t sum = first + (second ^ negate) - negate;

        result[i] = mn_clamp_s16(mn_scale(sum, p->mantissa_out, -p->shift_out), p->low, p->high);
      }
      result += p->pair.count;
    } while (mn_next(p->pair.loops, p->pair.depth, index, &offset0, &offset1));
  }
}
