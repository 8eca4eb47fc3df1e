// SPDX-License-Identifier: Apache-2.0
// A portable pool: the walk over its output. It looks only at the pixels inside the input.
//
// Before inclusion: the header that clamps; MN_POOL: the name of the kernel and of its struct; MN_POOL_VALUE: type of inputs
// and outputs; MN_POOL_CLAMP: what limits an int32_t to it; window(): of one channel over rows x cols pixels, at least one,
// of which `pixel` is the channel in the first.
#ifndef MN_POOL_WALK_H
#define MN_POOL_WALK_H

void MN_POOL(const struct MN_POOL *p, const MN_POOL_VALUE *in, MN_POOL_VALUE *out, int32_t from, int32_t to)
{
  const struct mn_span rows = mn_span(from, to), cols = mn_across(&rows, p->out_w);

  for (int32_t oy = rows.first; oy != rows.end; oy += rows.step) {
    const int32_t y = oy * p->stride_h - p->pad_top;
    const struct mn_taps high = mn_taps_inside(y, p->in_h, p->kernel_h, 1);
    const int32_t height = high.to - high.from;
    const struct mn_lines lines = mn_lines(y + high.from, height, 1, p->in_ring, p->in_w * p->channels);
    MN_POOL_VALUE *const result = out + mn_slot(oy, p->out_ring) * p->out_w * p->channels;

    for (int32_t ox = cols.first; ox != cols.end; ox += cols.step) {
      const int32_t x = ox * p->stride_w - p->pad_left;
      const struct mn_taps wide = mn_taps_inside(x, p->in_w, p->kernel_w, 1);
      const MN_POOL_VALUE *const v = in + lines.first + (x + wide.from) * p->channels;
      MN_POOL_VALUE *const u = result + ox * p->channels;

      for (int32_t c = 0; c < p->channels; c++) {
        u[c] = MN_POOL_CLAMP(window(p, &lines, v + c, height, wide.to - wide.from), p->low, p->high);
      }
    }
  }
}

#endif
