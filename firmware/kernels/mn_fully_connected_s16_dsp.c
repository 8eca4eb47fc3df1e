// SPDX-License-Identifier: Apache-2.0
#include "mn_dsp.h"

#if MN_HAS_DSP
#define MN_DENSE mn_fully_connected_s16_dsp
#include "mn_dot_s16_dsp.h"
#include "mn_dense_s16.h"

void mn_fully_connected_s16_dsp(const struct mn_fully_connected_s16_dsp *p, const int16_t *in, int16_t *out, int32_t from,
                                int32_t to)
{
  mn_dense_s16(p, in, out, from, to);
}
#endif
