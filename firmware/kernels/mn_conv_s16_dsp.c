// SPDX-License-Identifier: Apache-2.0
#include "mn_dsp.h"

#if MN_HAS_DSP
#define MN_CONV_MEMBERS mn_conv_s16_dsp
#include "mn_dot_s16_dsp.h"
#include "mn_conv_pixel_s16.h"

void mn_conv_s16_dsp(const struct mn_conv_s16_dsp *p, const int16_t *in, int16_t *out, int32_t from, int32_t to)
{
  mn_conv_walk(p, in, out, from, to);
}
#endif
