// SPDX-License-Identifier: Apache-2.0
#include "mn_loops.h"
#include "mn_tensor.h"

void mn_minmax_s8(const struct mn_minmax_s8 *p, const int8_t *in0, const int8_t *in1, int8_t *out)
{
  const int32_t count = p->count, step0 = p->step0, step1 = p->step1, maximum = p->maximum;
  int32_t index[MN_MAX_LOOPS] = {0}, offset0 = 0, offset1 = 0;

  do {
    const int8_t *a = in0 + offset0, *b = in1 + offset1;

    for (int32_t i = 0; i < count; i++) {
      const int8_t x = a[i * step0], y = b[i * step1];

      *out++ = (x > y) == maximum ? x : y;
    }
  } while (mn_next(p->loops, p->depth, index, &offset0, &offset1));
}
