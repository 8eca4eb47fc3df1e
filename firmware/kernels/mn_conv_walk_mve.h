// SPDX-License-Identifier: Apache-2.0
// The walk of convolutions over output pixels: the windows of two of them are gathered into scratch.
//
// Before inclusion: MN_CONV_MEMBERS: the name of the kernel's struct. After it: multiply().
#ifndef MN_CONV_WALK_MVE_H
#define MN_CONV_WALK_MVE_H

#include "mn_inline.h"
#include "mn_mve.h"
#include "mn_rows.h"
#include "mn_window.h"

// Input rows under the windows of one row of outputs.
struct band {
  struct mn_taps taps;         // those that lie on the image
  struct mn_lines lines;
};

static struct band band_of(const struct MN_CONV_MEMBERS *p, int32_t oy)
{
  const int32_t y = oy * p->stride_h - p->pad_top;
  const struct mn_taps taps = mn_taps_inside(y, p->in_h, p->kernel_h, p->dilation_h);
  const struct band band = {taps, mn_lines(y + taps.from * p->dilation_h, taps.to - taps.from, p->dilation_h, p->in_ring,
                                           p->in_w * p->in_step)};

  return band;
}

// Copies `bytes` of each of `rows` rows.
static inline void put_rows(int8_t *to, int32_t to_step, const int8_t *x, int32_t x_step, int32_t bytes, int32_t rows)
{
#if defined(__arm__)
  if (bytes <= MN_STEP) {
    __asm__ volatile("vctp.8 %4\n"
                     "dls lr, %5\n"
                     "1: vpst\n"
                     "vldrbt.8 q0, [%1]\n"
                     "add %1, %1, %3\n"
                     "vpst\n"
                     "vstrbt.8 q0, [%0]\n"
                     "add %0, %0, %2\n"
                     "le lr, 1b"
                     : "+r"(to), "+r"(x) : "r"(to_step), "r"(x_step), "r"(bytes), "r"(rows)
                     : "lr", "d0", "d1", "memory");
    return;
  }
  __asm__ volatile("1: wlstp.8 lr, %5, 3f\n"
                   "2: vldrb.8 q0, [%1], #16\n"
                   "vstrb.8 q0, [%0], #16\n"
                   "letp lr, 2b\n"
                   "3: add %0, %0, %3\n"
                   "add %1, %1, %4\n"
                   "subs %2, %2, #1\n"
                   "bne 1b"
                   : "+r"(to), "+r"(x), "+r"(rows)
                   : "r"(to_step - (bytes + 15) / 16 * 16), "r"(x_step - (bytes + 15) / 16 * 16), "r"(bytes)
                   : "lr", "cc", "d0", "d1", "memory");
#else
  for (; rows > 0; rows--, to += to_step, x += x_step) {
    memcpy(to, x, (size_t)bytes);
  }
#endif
}

// A window of which `bytes` of each row lie on the image, `low` bytes from its left side on. x: the first of them.
static inline void put_window(const struct MN_CONV_MEMBERS *p, const struct band *band, const int8_t *x, int32_t low,
                              int32_t bytes, int8_t *to)
{
  const struct mn_lines *const lines = &band->lines;
  const int32_t run = p->run_bytes;
  int32_t rows = band->taps.to - band->taps.from;

  if (bytes != run || rows != p->kernel_h) {
    mn_fill_mve(to, p->input_zero_point, p->kernel_h * run);
    to += band->taps.from * run + low;
    if (bytes <= 0 || rows == 0) {
      return;
    }
  }
  if (lines->wrap >= 0) {
    const int8_t *wrapped = x + lines->wrap * lines->step - lines->ring;

    for (int32_t i = lines->wrap; i < rows; i++, wrapped += lines->step) {
      mn_copy_mve(to + i * run, wrapped, bytes);
    }
    rows = lines->wrap;
  }
  put_rows(to, run, x, lines->step, bytes, rows);
}

// All channels of the gathered pixels, one or two; out: where they go.
static MN_NOINLINE void multiply(const struct MN_CONV_MEMBERS *p, struct mn_job4_mve *job, int8_t *const *out,
                                 int32_t pixels);

static inline void mn_conv_walk(const struct MN_CONV_MEMBERS *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                                int32_t to)
{
  const struct mn_span rows = mn_span(from, to), cols = mn_across(&rows, p->out_w);
  const int32_t steps = (p->kernel_h * p->run_bytes + MN_STEP - 1) / MN_STEP, run = p->run_bytes;
  const int32_t row_bytes = p->in_w * p->in_step, first = (cols.first * p->stride_w - p->pad_left) * p->in_step;
  const int32_t x_step = rows.step * p->stride_w * p->in_step, out_step = rows.step * p->out_step;
  struct mn_job4_mve job = {.x0 = scratch, .steps = steps, .ties = p->ties, .weights = p->weights, .requant = p->requant,
                            .zero_point = p->output_zero_point};
  int8_t *u[2];
  int32_t gathered = 0;

  for (int32_t oy = rows.first; oy != rows.end; oy += rows.step) {
    const struct band band = band_of(p, oy);
    int8_t *to_write = out + (mn_slot(oy, p->out_ring) * p->out_w + cols.first) * p->out_step;
    int32_t at = first;

    for (int32_t left = p->out_w; left > 0; left--, at += x_step, to_write += out_step) {
      const int32_t low = at < 0 ? -at : 0, high = at + run > row_bytes ? row_bytes - at : run;

      put_window(p, &band, in + (band.lines.first + at + low), low, high - low,
                 (int8_t *)scratch + (gathered == 0 ? 0 : steps * MN_STEP));
      u[gathered++] = to_write;
      if (gathered == 2) {
        multiply(p, &job, u, 2);
        gathered = 0;
      }
    }
  }
  if (gathered == 1) {
    multiply(p, &job, u, 1);
  }
}

#endif
