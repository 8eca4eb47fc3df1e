// SPDX-License-Identifier: Apache-2.0
// The walk of convolutions over output pixels: rows in either direction, pixels in pairs. Pairs whose windows lie
// inside the rows run in assembly; windows that hang over a side are put together here.
//
// Before inclusion: MN_CONV_BITS (mn_conv_block_dsp.h), MN_CONV_MEMBERS: the name of the kernel's struct.
#ifndef MN_CONV_WALK_DSP_H
#define MN_CONV_WALK_DSP_H

#include <stdbool.h>

#include "mn_conv_block_dsp.h"
#include "mn_inline.h"
#include "mn_nn_dsp.h"

#if MN_HAS_DSP

struct walk {
  const struct MN_CONV_MEMBERS *p;
  const int8_t *in;
  uint32_t *x;               // widened windows of two pixels: words of pixel 0 and pixel 1 in turn
  int32_t step;              // 1 or -1
  int8_t *held;              // output of a pixel whose window is in x, as pixel 0, or null
  struct mn_conv_run run;
};

// Four bytes of a row from byte `at` on, some or all of which lie outside it. last: where the row's last four begin.
static inline uint32_t border(const int8_t *row, int32_t at, int32_t last, uint32_t zeros)
{
  const int32_t inside = at < 0 ? 0 : last, by = at - inside;

  if (by <= -4 || by >= 4) {
    return zeros;
  }
  const uint32_t word = mn_load_word(row + inside);

  return by < 0 ? word << (-8 * by) | (zeros & ~(~0u << (-8 * by))) : word >> (8 * by) | (zeros & ~(~0u >> (8 * by)));
}

// The window of any pixel, as pixel 0 from `to` or pixel 1 from `to` less a word.
static MN_PER_PIXEL void put_window(const struct walk *w, int32_t oy, int32_t ox, uint32_t *to)
{
  const struct MN_CONV_MEMBERS *const p = w->p;
  const int32_t row_bytes = p->in_w * p->in_step, run = p->run_bytes, quads = run & ~3;
  const int32_t at = (ox * p->stride_w - p->pad_left) * p->in_step;
  const uint32_t zeros = (uint8_t)p->input_zero_point * 0x01010101u;
  int16_t *rest = (int16_t *)(to + p->kernel_h * quads);
  int32_t y = oy * p->stride_h - p->pad_top;

  for (int32_t i = p->kernel_h; i > 0; i--, y += p->dilation_h) {
    const bool outside = y < 0 || y >= p->in_h;
    const int8_t *const row = outside ? 0 : w->in + y % p->in_ring * row_bytes;
    const uint32_t whole = outside || row_bytes < 4 ? 0 : (uint32_t)row_bytes - 3;
    int32_t q = at;

    for (; q < at + quads; q += 4, to += 4) {
      const uint32_t word = (uint32_t)q < whole ? mn_load_word(row + q)
                            : outside           ? zeros
                                                : border(row, q, row_bytes - 4, zeros);

      to[0] = mn_widen_even(word);
      to[2] = mn_widen_odd(word);
    }
    for (; q < at + run; q++) {
      *rest = !outside && q >= 0 && q < row_bytes ? row[q] : p->input_zero_point;
      rest += (uintptr_t)rest & 2 ? 3 : 1;
    }
  }
}

// Computes `pairs` of pixels from `out` on, pixel 1 of the first lies `delta` bytes from it.
static void compute(struct walk *w, int8_t *out, int32_t delta, int32_t pairs)
{
  w->run.out = out;
  w->run.delta = delta;
  w->run.out_end = out + w->run.block_bytes;
  w->run.pairs = pairs;
  MN_CONV_RUN(&w->run);
}

// One pixel: it waits for its partner. ox may lie in the rows below.
static MN_PER_PIXEL void one_pixel(struct walk *w, int32_t oy, int32_t ox, int8_t *out)
{
  put_window(w, oy + ox / w->p->out_w, ox % w->p->out_w, w->x + (w->held != 0));
  if (w->held == 0) {
    w->held = out;
    return;
  }
  w->run.runs = 0;
  compute(w, w->held, (int32_t)(out - w->held), 1);
  w->held = 0;
}

// Pairs of pixels of one row whose windows lie inside its columns.
static MN_PER_ROW void inner_pairs(struct walk *w, int32_t oy, int32_t ox, int8_t *out, int32_t pairs)
{
  const struct MN_CONV_MEMBERS *const p = w->p;
  const int32_t dilation = p->dilation_h, top = oy * p->stride_h - p->pad_top, row_bytes = p->in_w * p->in_step;
  const int32_t above = top < 0 ? (-top + dilation - 1) / dilation : 0;
  const int32_t inside = p->in_h - top <= 0 ? 0 : (p->in_h - top + dilation - 1) / dilation;
  const int32_t below = inside < p->kernel_h ? inside : p->kernel_h, rest = p->run_bytes & 3;
  const int32_t slot = (top + above * dilation) % p->in_ring, in_step = w->step * p->stride_w * p->in_step;
  struct mn_conv_run *const r = &w->run;

  if (above > 0 || below < p->kernel_h) {
    for (uint32_t *x = w->x; x != r->x_end; x++) {
      *x = mn_both(p->input_zero_point);
    }
  }
  r->runs = below > above ? below - above : 0;
  r->to = w->x + above * (p->run_bytes & ~3);
  r->rest_to = (uint32_t *)((uint16_t *)(w->x + p->kernel_h * (p->run_bytes & ~3) + above * rest / 2 * 2) +
                            above * rest % 2);
  r->x0 = w->in + slot * row_bytes + (ox * p->stride_w - p->pad_left) * p->in_step;
  r->x1 = r->x0 + in_step;
  r->in_step = 2 * in_step;
  r->wrap = r->runs - (p->in_ring - slot + dilation - 1) / dilation;
  compute(w, out, w->step * p->out_step, pairs);
}

// All pixels of a row of `width`.
static MN_PER_ROW void row(struct walk *w, int32_t oy, int32_t width, int32_t first, int32_t whole, int8_t *out)
{
  const int32_t begin = w->step > 0 ? first : width - first - whole, end = begin + whole;

  for (int32_t i = 0; i < width;) {
    const int32_t ox = w->step > 0 ? i : width - 1 - i, pairs = i >= begin && w->held == 0 ? (end - i) / 2 : 0;

    if (pairs > 0) {
      inner_pairs(w, oy, ox, out + ox * w->p->out_step, pairs);
      i += 2 * pairs;
    } else {
      one_pixel(w, oy, ox, out + ox * w->p->out_step);
      i++;
    }
  }
}

static MN_PER_ROW void mn_conv_walk(const struct MN_CONV_MEMBERS *p, const int8_t *in, int8_t *out, void *scratch,
                                int32_t from, int32_t to)
{
  const int32_t quads = p->run_bytes / 4, step = from < to ? 1 : -1;
  const int32_t low = from < to ? from : to, rows = (to - from) * step, line = p->out_w * p->out_step;
  struct walk w;
  struct mn_conv_run *const r = &w.run;

  if (rows == 0) {
    return;
  }
  w.p = p;
  w.in = in;
  w.x = r->x = scratch;
  w.step = step;
  w.held = 0;
  r->entry = MN_CONV_ENTRY(p->steps);
  r->x_end = r->x + 2 * p->steps;
  r->exact = p->exact;
  r->rounding = (uint32_t)(2 * p->output_zero_point + 1) << (p->exact ? 0 : MN_LINE_POINT - 1);
  r->weights = p->weights;
  r->row_step = p->dilation_h * p->in_w * p->in_step - p->run_bytes;
  r->quad_entry = MN_CONV_QUAD_ENTRY(quads);
  r->quad_rounds = quads == 0 ? 1 : (quads + 3) / 4;
  r->rest = p->run_bytes & 3;
  r->wrap_bytes = p->in_ring * p->in_w * p->in_step;
  r->tail = p->out_c & 3;
  r->out_step = 2 * step * p->out_step;
  r->block_bytes = p->out_c & ~3;
  if (p->linear && low % p->in_ring + rows <= p->in_ring && low % p->out_ring + rows <= p->out_ring) {
    row(&w, low, rows * p->out_w, 0, rows * p->out_w, out + low % p->out_ring * line);
  } else {
    for (int32_t i = 0; i < rows; i++) {
      const int32_t oy = step > 0 ? from + i : from - 1 - i;

      row(&w, oy, p->out_w, p->first_x, p->whole, out + oy % p->out_ring * line);
    }
  }
  if (w.held != 0) {
    w.run.runs = 0;
    compute(&w, w.held, 0, 1);
  }
  if (p->low > INT8_MIN || p->high < INT8_MAX) {
    for (int32_t y = low; y < low + rows; y++) {
      mn_clamp_pixels(out + y % p->out_ring * line, p->out_w, p->out_c, p->out_step, p->low, p->high);
    }
  }
}

#endif
#endif
