// SPDX-License-Identifier: Apache-2.0
// Convolution with weights as int16: as mn_conv_s8_dsp.c, but nothing is widened in the loop.
#define MN_CONV_BITS 16
#define MN_CONV_MEMBERS mn_conv_s8_wide_dsp
#include "mn_conv_walk_dsp.h"

#if MN_HAS_DSP

void mn_conv_s8_wide_dsp(const struct mn_conv_s8_wide_dsp *p, const int8_t *in, int8_t *out, void *scratch,
                         int32_t from, int32_t to)
{
  mn_conv_walk(p, in, out, scratch, from, to);
}

#endif
