// SPDX-License-Identifier: Apache-2.0
#define MN_CONV_MEMBERS mn_conv_s16
#include "mn_dot_s16.h"
#include "mn_conv_pixel_s16.h"

void mn_conv_s16(const struct mn_conv_s16 *p, const int16_t *in, int16_t *out, int32_t from, int32_t to)
{
  mn_conv_walk(p, in, out, from, to);
}
