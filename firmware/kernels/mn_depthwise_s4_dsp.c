// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution 3x3 with int4 weights, unpacked once per strip of columns.
#define MN_DEPTHWISE_BITS 4
#define MN_DEPTHWISE_MEMBERS mn_depthwise_s4_dsp
#include "mn_depthwise_walk_dsp.h"

#if MN_HAS_DSP

void mn_depthwise_s4_dsp(const struct mn_depthwise_s4_dsp *p, const int8_t *in, int8_t *out, void *scratch,
                         int32_t from, int32_t to)
{
  mn_depthwise_walk(p, in, out, scratch, from, to);
}

#endif
