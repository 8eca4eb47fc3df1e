// SPDX-License-Identifier: Apache-2.0
// Fully connected layers with weights as pairs of bytes.
#define MN_DENSE_BITS 8
#define MN_DENSE_MEMBERS mn_fully_connected_s8_dsp
#include "mn_dense_dsp.h"

#if MN_HAS_DSP

void mn_fully_connected_s8_dsp(const struct mn_fully_connected_s8_dsp *p, const int8_t *in, int8_t *out)
{
  mn_dense(p, in, out);
}

#endif
