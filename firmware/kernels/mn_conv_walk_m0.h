// SPDX-License-Identifier: Apache-2.0
// The walk of convolutions for Armv6-M over output pixels: the windows of four of them become words of two.
//
// Before inclusion: MN_CONV_MEMBERS: the name of the kernel's struct. After it: channels().
#ifndef MN_CONV_WALK_M0_H
#define MN_CONV_WALK_M0_H

#include "mn_gather.h"
#include "mn_nn_scalar.h"
#include "mn_staircase.h"

#define PIXELS 4

// All channels of four pixels. x: [inputs][2] words of two pixels; write: where their outputs begin.
static void channels(const struct MN_CONV_MEMBERS *p, const int32_t *x, int8_t *const *write);

static inline void mn_conv_walk(const struct MN_CONV_MEMBERS *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                                int32_t to)
{
  const struct mn_gather window = {p->in_h, p->in_w * p->in_step, p->in_ring, p->kernel_h, p->dilation_h, p->run_bytes,
                                   p->input_zero_point};
  const int32_t step = from < to ? 1 : -1, last_x = p->out_w - 1;
  const int32_t pixel = p->out_step;
  int32_t *const x = scratch;
  int32_t left = (to - from) * step * p->out_w, oy = from < to ? from : from - 1, ox = from < to ? 0 : last_x;

  for (; left > 0; left -= PIXELS) {
    struct mn_place places[PIXELS];
    int8_t *write[PIXELS];

    for (int32_t k = 0; k < PIXELS; k++) {
      places[k] = (struct mn_place){oy * p->stride_h - p->pad_top, (ox * p->stride_w - p->pad_left) * p->in_step};
      write[k] = out + (mn_slot(oy, p->out_ring) * p->out_w + ox) * pixel;
      if (left <= k + 1) {                  // the last one is computed again
        continue;
      }
      ox += step;
      if (ox < 0 || ox > last_x) {
        ox = step > 0 ? 0 : last_x;
        oy += step;
      }
    }
    mn_gather_pair(&window, in, places[0], places[1], x);
    mn_gather_pair(&window, in, places[2], places[3], x + 1);
    channels(p, x, write);
  }
}

#endif
