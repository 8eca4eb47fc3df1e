// SPDX-License-Identifier: Apache-2.0
#include "mn_pair.h"
#include "mn_rows.h"
#include "mn_tensor.h"

void mn_minmax_s8(const struct mn_minmax_s8 *p, const int8_t *in0, const int8_t *in1, int8_t *out, int32_t from,
                  int32_t to)
{
  const int32_t count = p->pair.count, step0 = p->pair.step0, step1 = p->pair.step1, maximum = p->maximum;
  const struct mn_span rows = mn_span(from, to);

  for (int32_t row = rows.first; row != rows.end; row += rows.step) {
    struct mn_pair_row at = mn_pair_row(&p->pair, in0, in1, out, row);

    do {
      const int8_t *a = at.in0 + at.offset0, *b = at.in1 + at.offset1;

      for (int32_t i = 0; i < count; i++) {
        const int8_t x = a[i * step0], y = b[i * step1];

        *at.out++ = (x > y) == maximum ? x : y;
      }
    } while (mn_pair_next(&p->pair, &at));
  }
}
