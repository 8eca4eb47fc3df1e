// SPDX-License-Identifier: Apache-2.0
// Convolution with int4 weights: as mn_conv_s8_mve.c.
#include "mn_mve.h"

#if MN_HAS_MVE
#include "mn_block4_s4_mve.h"
#include "mn_nn_mve.h"
#define MN_CONV_MEMBERS mn_conv_s4_mve
#include "mn_conv_walk_mve.h"

// The channels after the last block, in pairs.
static void last_channels(const struct mn_conv_s4_mve *p, const int8_t *x, int32_t depth, uint32_t inputs8, int8_t *out)
{
  const int32_t whole = p->out_c & ~3, *requant = p->requant + whole / 4 * 9;
  const int8_t *w = p->weights + depth * whole / 2;

  for (int32_t c = whole; c < p->out_c; c += 2, w += depth) {
    uint32_t sums[2] = {mn_dot_low_mve(0, x, w, depth), mn_dot_mve(0, x, w, depth)};

    mn_part_mve(sums, inputs8);
    for (int32_t k = 0; k < 2 && c + k < p->out_c; k++, requant += 3) {
      out[c + k] = mn_scale_down_mve(sums[k] + (uint32_t)requant[0], requant[1], requant[2], p->output_zero_point);
    }
  }
}

static MN_NOINLINE void multiply(const struct mn_conv_s4_mve *p, struct mn_job4_mve *job, int8_t *const *out,
                                 int32_t pixels)
{
  const int32_t whole = p->out_c & ~3, depth = job->steps * MN_STEP;

  job->x1 = pixels == 1 ? job->x0 : job->x0 + depth;
  job->pitch = pixels == 1 ? 0 : out[1] - out[0];
  job->out = out[0];
  job->end = out[0] + whole;
  job->inputs8[0] = (uint32_t)(8 * mn_sum_mve(job->x0, depth));
  job->inputs8[1] = (uint32_t)(8 * mn_sum_mve(job->x1, depth));
  if (whole > 0) {
    mn_blocks4_s4_mve(job);
  }
  if (whole != p->out_c || p->low != INT8_MIN || p->high != INT8_MAX) {
    for (int32_t k = 0; k < pixels; k++) {
      last_channels(p, k == 0 ? job->x0 : job->x1, depth, job->inputs8[k], out[k]);
      mn_clamp_mve(out[k], p->out_c, p->low, p->high);
    }
  }
}

void mn_conv_s4_mve(const struct mn_conv_s4_mve *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                    int32_t to)
{
  mn_conv_walk(p, in, out, scratch, from, to);
}

#endif
