// SPDX-License-Identifier: Apache-2.0
// TRANSPOSE, STRIDED_SLICE, SPLIT, CONCATENATION, DEPTH_TO_SPACE and the inside of PAD.
#include <string.h>

#include "mn_loops.h"
#include "mn_tensor.h"

void mn_copy_s8(const struct mn_copy_s8 *p, const void *in, void *out)
{
  const int32_t count = p->count, step_in = p->step_in, step_out = p->step_out;
  int32_t index[MN_MAX_LOOPS] = {0}, offset_in = p->offset_in, offset_out = p->offset_out;

  do {
    const int8_t *from = (const int8_t *)in + offset_in;
    int8_t *to = (int8_t *)out + offset_out;

    if (step_in == 1 && step_out == 1) {
      memcpy(to, from, (uint32_t)count);
    } else {
      for (int32_t i = 0; i < count; i++) {
        to[i * step_out] = from[i * step_in];
      }
    }
  } while (mn_next(p->loops, p->depth, index, &offset_in, &offset_out));
}
