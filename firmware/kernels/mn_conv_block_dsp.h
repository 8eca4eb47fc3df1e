// SPDX-License-Identifier: Apache-2.0
// The inner part of convolutions: runs of pixel pairs, in assembly on the core (mn_conv_asm_dsp.h) because it needs
// all fourteen registers. The windows of two pixels are widened into words that lie in turn, then multiplied with
// blocks of four output channels: a step of two inputs is 12 instructions for 16 multiply-accumulates (11 with weights of
// 16 bits, 13 with 4).
//
// MN_CONV_BITS: 8 when weights are pairs of bytes, 4 when they are int4 (mn_nn_dsp.h), 16 when they are int16.
#ifndef MN_CONV_BLOCK_DSP_H
#define MN_CONV_BLOCK_DSP_H

#include "mn_dsp.h"

#if MN_HAS_DSP

// Pairs of pixels whose outputs follow each other. The assembly reads the members by their place.
struct mn_conv_run {
  int8_t *out;                    // pixel 0 of the first pair
  int32_t delta;                  // its pixel 1 from there, in bytes; 0: there is none
  int8_t *out_end;                // behind the channels of whole blocks
  uint32_t *x;                    // widened inputs as [step][pixel], up to x_end
  int32_t entry;                  // MN_CONV_ENTRY(steps)
  const uint32_t *x_end;
  uint32_t exact;                 // 0: outputs lie on lines; otherwise each channel rounds as it is written
  uint32_t rounding;              // lines: the zero point and a half; else see zero2 of mn_requantize_short
  const uint32_t *weights;
  int32_t block_bytes;            // channels of whole blocks
  int32_t pairs;                  // at least 1
  uint32_t *to;                   // where widening begins
  const int8_t *x0, *x1;          // first runs of both pixels
  int32_t runs;                   // to widen; 0: the windows are in x
  int32_t row_step;               // bytes from the end of a run to the next
  int32_t quad_entry;             // MN_CONV_QUAD_ENTRY(quads of a run)
  int32_t quad_rounds;            // of four quads, at least 1
  int32_t rest;                   // bytes of a run after its quads
  uint32_t *rest_to;              // they go here, as halfwords
  int32_t wrap, wrap_bytes;       // this many runs before the last (0: none), the input's rows begin anew
  int32_t in_step;                // bytes between pairs
  uint32_t tail;                  // channels after whole blocks
  int32_t out_step;
};

// Each width has a name of its own, for a program that is compiled as a whole may hold both.
#if MN_CONV_BITS == 16
#define MN_CONV_RUN mn_conv_run_wide_dsp
#elif MN_CONV_BITS == 4
#define MN_CONV_RUN mn_conv_run_s4_dsp
#else
#define MN_CONV_RUN mn_conv_run_dsp
#endif
MN_DSP_ASSEMBLY void MN_CONV_RUN(struct mn_conv_run *r);

// Loops are entered in their midst, at a distance in bytes of code; 1 marks Thumb.
#define MN_CONV_STEP_CODE (MN_CONV_BITS == 16 ? 44 : MN_CONV_BITS == 8 ? 48 : 52)
#define MN_CONV_ENTRY(steps) \
  (((steps) == 1 ? 8 : (8 - ((steps) - 1) % 8) % 8) * MN_CONV_STEP_CODE + 1)
#define MN_CONV_QUAD_ENTRY(quads) (((quads) == 0 ? 4 * 28 + 8 : (4 - (quads) % 4) % 4 * 28) + 1)

#if defined(__arm__)

#include "mn_conv_asm_dsp.h"

#else

static void mn_conv_put_rest(uint32_t *to, int32_t index, int32_t value)
{
  int16_t *const half = (int16_t *)(to + index / 2 * 2) + index % 2;

  *half = (int16_t)value;
}

static void mn_conv_widen_pair(const struct mn_conv_run *r, const int8_t *const from[2], int32_t quads)
{
  for (int32_t pixel = 0; pixel < 2; pixel++) {
    const int8_t *x = from[pixel];
    uint32_t *to = r->to + pixel;
    int32_t rest = ((uintptr_t)r->rest_to & 2) / 2;
    uint32_t *const rest_to = (uint32_t *)((uintptr_t)r->rest_to & ~(uintptr_t)2) + pixel;

    for (int32_t left = r->runs; left > 0; x += r->row_step) {
      for (int32_t q = 0; q < quads; q++, x += 4, to += 4) {
        const uint32_t word = mn_load_word(x);

        to[0] = mn_widen_even(word);
        to[2] = mn_widen_odd(word);
      }
      for (int32_t i = 0; i < r->rest; i++) {
        mn_conv_put_rest(rest_to, rest++, *x++);
      }
      if (--left == 0) {
        break;
      }
      if (left == r->wrap) {
        x -= r->wrap_bytes;
      }
    }
  }
}

#if MN_CONV_BITS == 4

// Sums of four channels of both pixels.
static const uint32_t *mn_conv_sums(const struct mn_conv_run *r, const uint32_t *w, int32_t channels,
                                    uint32_t sums[4][2])
{
  (void)channels;
  for (int32_t pixel = 0; pixel < 2; pixel++) {
    uint32_t s[4] = {0}, inputs8 = 0;
    const uint32_t *word = w;

    for (const uint32_t *v = r->x + pixel; v != r->x_end + pixel; v += 2, word++) {
      s[0] = mn_smlad(*word, *v, s[0]);
      s[1] = mn_smlad(*word & 0x0f0f0f0fu, *v, s[1]);
      s[2] = mn_smlad(*word & 0x00ff00ffu, *v, s[2]);
      s[3] = mn_smlad(*word & 0x000f000fu, *v, s[3]);
      inputs8 = mn_smlad(0x00080008u, *v, inputs8);
    }
    sums[0][pixel] = s[3] - inputs8;
    sums[1][pixel] = (uint32_t)((int32_t)(s[2] - s[3] - (inputs8 << 4)) >> 4);
    sums[2][pixel] = (uint32_t)((int32_t)(s[1] - s[3] - (inputs8 << 8)) >> 8);
    sums[3][pixel] = (uint32_t)((int32_t)(s[0] - s[1] - s[2] + s[3]) >> 12);
  }
  return w + (r->x_end - r->x) / 2;
}

#else

// Sums of four channels (or of two) of both pixels.
static const uint32_t *mn_conv_sums(const struct mn_conv_run *r, const uint32_t *w, int32_t channels,
                                    uint32_t sums[4][2])
{
  for (const uint32_t *v = r->x; v != r->x_end; v += 2) {
    for (int32_t c = 0; c < channels; c += MN_CONV_BITS == 16 ? 1 : 2, w++) {
      for (int32_t pixel = 0; pixel < 2; pixel++) {
        sums[c][pixel] = mn_smlad(MN_CONV_BITS == 16 ? *w : mn_widen_even(*w), v[pixel], sums[c][pixel]);
        if (MN_CONV_BITS == 8) {
          sums[c + 1][pixel] = mn_smlad(*w, v[pixel], sums[c + 1][pixel]);
        }
      }
    }
  }
  for (int32_t i = 0; MN_CONV_BITS == 8 && i < channels; i += 2) {
    for (int32_t pixel = 0; pixel < 2; pixel++) {
      sums[i + 1][pixel] = (uint32_t)((int32_t)(sums[i + 1][pixel] - sums[i][pixel]) >> 8);
    }
  }
  return w;
}

#endif

static const uint32_t *mn_conv_channels(const struct mn_conv_run *r, const uint32_t *w, uint32_t count, int8_t *out)
{
  uint32_t sums[4][2] = {{0}};
  const uint32_t *q = mn_conv_sums(r, w, count < 3 ? 2 : 4, sums);
  uint32_t shifts = r->exact ? *q++ : 0;

  for (uint32_t c = 0; c < 4; c++, q += 2, shifts >>= 8) {
    for (int32_t pixel = 1; pixel >= 0 && c < count; pixel--) {
      int8_t *const to = out + c + (pixel ? r->delta : 0);

      if (r->exact) {
        *to = mn_requantize_short(q[0] + 2 * sums[c][pixel], q[1], shifts & 0xffu, r->rounding);
      } else {
        *to = mn_requantize_line(q[0] + (sums[c][pixel] << MN_LINE_SHIFT), q[1], r->rounding);
      }
    }
  }
  return q;
}

static void MN_CONV_RUN(struct mn_conv_run *r)
{
  const int32_t all = 4 * 28 + 9, quads = r->quad_entry == all ? 0 : 4 * r->quad_rounds - r->quad_entry / 28;
  const int8_t *from[2] = {r->x0, r->x1};

  for (; r->pairs > 0; r->pairs--, r->out += r->out_step) {
    const uint32_t *w = r->weights;
    int32_t c = 0;

    if (r->runs > 0) {
      mn_conv_widen_pair(r, from, quads);
      from[0] += r->in_step;
      from[1] += r->in_step;
    }
    for (; c < r->block_bytes; c += 4) {
      w = mn_conv_channels(r, w, 4, r->out + c);
    }
    if (r->tail > 0) {
      mn_conv_channels(r, w, r->tail, r->out + c);
    }
  }
}

#endif
#endif
#endif
