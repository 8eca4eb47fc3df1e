// SPDX-License-Identifier: Apache-2.0
#include "mn_tensor.h"

void mn_lut_s8(const struct mn_lut_s8 *p, const void *in, void *out)
{
  const uint8_t *from = in, *table = p->table;
  uint8_t *to = out;

  for (int32_t i = 0; i < p->count; i++) {
    to[i] = table[from[i]];
  }
}
