// SPDX-License-Identifier: Apache-2.0
// Fully connected layers with int4 weights.
#define MN_DENSE_BITS 4
#define MN_DENSE_MEMBERS mn_fully_connected_s4_dsp
#include "mn_dense_dsp.h"

#if MN_HAS_DSP

void mn_fully_connected_s4_dsp(const struct mn_fully_connected_s4_dsp *p, const int8_t *in, int8_t *out)
{
  mn_dense(p, in, out);
}

#endif
