// SPDX-License-Identifier: Apache-2.0
// Convolution: the windows of two output pixels are gathered into scratch, then multiplied with all channels, four at a
// time: eight sums, as many as there are registers that can take them.
#include "mn_mve.h"

#if MN_HAS_MVE
#include "mn_block4_mve.h"
#include "mn_nn_mve.h"
#define MN_CONV_MEMBERS mn_conv_s8_mve
#include "mn_conv_walk_mve.h"

static MN_NOINLINE void multiply(const struct mn_conv_s8_mve *p, struct mn_job4_mve *job, int8_t *const *out,
                                 int32_t pixels)
{
  const int32_t whole = p->out_c & ~3;

  job->x1 = pixels == 1 ? job->x0 : job->x0 + job->steps * MN_STEP;
  job->pitch = pixels == 1 ? 0 : out[1] - out[0];
  job->out = out[0];
  job->end = out[0] + whole;
  if (whole > 0) {
    mn_blocks4_mve(job);
  }
  if (whole != p->out_c || p->low != INT8_MIN || p->high != INT8_MAX) {
    const int8_t *const w = p->weights + job->steps * MN_STEP * whole;
    const int32_t *const requant = p->requant + whole / 4 * 9;

    for (int32_t k = 0; k < pixels; k++) {
      mn_single_channels_mve(k == 0 ? job->x0 : job->x1, p->kernel_h * p->run_bytes, w, requant, p->out_c - whole,
                             p->output_zero_point, out[k] + whole);
      mn_clamp_mve(out[k], p->out_c, p->low, p->high);
    }
  }
}

void mn_conv_s8_mve(const struct mn_conv_s8_mve *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                    int32_t to)
{
  mn_conv_walk(p, in, out, scratch, from, to);
}

#endif
