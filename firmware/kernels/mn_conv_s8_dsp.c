// SPDX-License-Identifier: Apache-2.0
// Convolution: the windows of two output pixels are widened into scratch, then multiplied with all channels.
#define MN_CONV_BITS 8
#define MN_CONV_MEMBERS mn_conv_s8_dsp
#include "mn_conv_walk_dsp.h"

#if MN_HAS_DSP

void mn_conv_s8_dsp(const struct mn_conv_s8_dsp *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                    int32_t to)
{
  mn_conv_walk(p, in, out, scratch, from, to);
}

#endif
