// SPDX-License-Identifier: Apache-2.0
#define MN_DENSE mn_fully_connected_s16
#include "mn_dot_s16.h"
#include "mn_dense_s16.h"

void mn_fully_connected_s16(const struct mn_fully_connected_s16 *p, const int16_t *in, int16_t *out, int32_t from,
                            int32_t to)
{
  mn_dense_s16(p, in, out, from, to);
}
