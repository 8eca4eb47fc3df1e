// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution 3x3.
#define MN_DEPTHWISE_BITS 8
#define MN_DEPTHWISE_MEMBERS mn_depthwise_s8_dsp
#include "mn_depthwise_walk_dsp.h"

#if MN_HAS_DSP

void mn_depthwise_s8_dsp(const struct mn_depthwise_s8_dsp *p, const int8_t *in, int8_t *out, void *scratch,
                         int32_t from, int32_t to)
{
  mn_depthwise_walk(p, in, out, scratch, from, to);
}

#endif
