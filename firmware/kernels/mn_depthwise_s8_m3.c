// SPDX-License-Identifier: Apache-2.0
// 3x3 depthwise convolution for Cortex-M3. Two neighbouring pixels share weights, requantization and, at stride 1, six
// of twelve inputs; in assembly because the pair needs all fourteen registers.
#include "mn_nn_scalar.h"
#include "mn_patch.h"
#include "mn_short.h"

// All channels of the pixel whose rows of taps begin at x, y, z, `tap` bytes from one to the next; mn_depthwise_pair_m3
// computes the pixel one tap further too, to out + tap. words: see mn_nn_scalar.h.
#if defined(__ARM_ARCH_7M__)

void mn_depthwise_pixel_m3(const int8_t *x, int32_t tap, const int32_t *words, int8_t *out, const int8_t *y,
                           const int8_t *z, const int8_t *out_end, uint32_t zero2);
void mn_depthwise_pair_m3(const int8_t *x, int32_t tap, const int32_t *words, int8_t *out, const int8_t *y,
                          const int8_t *z, const int8_t *out_end, uint32_t zero2);

// r0, r4, r5: rows of taps, r1: tap, r2: words, r3: out, r6: 3 taps; r7, r8: sums; r9-r11: weights, lr: input.
__asm__(
  "  .syntax unified\n"
  "  .pushsection .text.mn_depthwise_m3, \"ax\", %progbits\n"
  "  .balign 4\n"
  "  .thumb\n"
  "  .macro mn_begin\n"
  "  push {r4-r11, lr}\n"
  "  ldrd r4, r5, [sp, #36]\n"
  "  add r6, r1, r1, lsl #1\n"
  "  .endm\n"
  "  .macro mn_row row, at, pair\n"
  "  ldrsb r9, [r2, #\\at]\n"
  "  ldrsb r10, [r2, #\\at+1]\n"
  "  ldrsb lr, [\\row, r1]\n"
  "  ldrsb r11, [r2, #\\at+2]\n"
  "  .if \\at\n"
  "  mla r7, r10, lr, r7\n"
  "  .else\n"
  "  mul r7, r10, lr\n"
  "  .endif\n"
  "  .if \\pair\n"
  "  .if \\at\n"
  "  mla r8, r9, lr, r8\n"
  "  .else\n"
  "  mul r8, r9, lr\n"
  "  .endif\n"
  "  .endif\n"
  "  ldrsb lr, [\\row, r1, lsl #1]\n"
  "  mla r7, r11, lr, r7\n"
  "  .if \\pair\n"
  "  mla r8, r10, lr, r8\n"
  "  ldrsb lr, [\\row, r6]\n"
  "  mla r8, r11, lr, r8\n"
  "  .endif\n"
  "  ldrsb lr, [\\row], #1\n"
  "  mla r7, r9, lr, r7\n"
  "  .endm\n"
  "  .macro mn_channel pair\n"
  "  mn_row r0, 0, \\pair\n"
  "  mn_row r4, 3, \\pair\n"
  "  mn_row r5, 6, \\pair\n"
  "  ldrb lr, [r2, #9]\n"
  "  ldrd r10, r11, [r2, #12]\n"
  "  ldr r9, [sp, #48]\n"
  "  add r2, r2, #20\n"
  "  lsl r9, r9, lr\n"
  "  .if \\pair\n"
  "  add r8, r10, r8, lsl #1\n"
  "  .endif\n"
  "  add r7, r10, r7, lsl #1\n"
  "  smull r10, r12, r7, r11\n"
  "  add r12, r12, r10, lsr #31\n"
  "  add r12, r12, r9\n"
  "  add r12, r12, r7, asr #31\n"
  "  asr r12, r12, lr\n"
  "  ssat r12, #8, r12, asr #1\n"
  "  .if \\pair\n"
  "  smull r10, r7, r8, r11\n"
  "  add r7, r7, r10, lsr #31\n"
  "  add r7, r7, r9\n"
  "  add r7, r7, r8, asr #31\n"
  "  asr r7, r7, lr\n"
  "  ssat r7, #8, r7, asr #1\n"
  "  strb r7, [r3, r1]\n"
  "  .endif\n"
  "  strb r12, [r3], #1\n"
  "  ldr r9, [sp, #44]\n"
  "  cmp r3, r9\n"
  "  .endm\n"

  "  .thumb_func\n"
  "  .type mn_depthwise_pixel_m3, %function\n"
  "mn_depthwise_pixel_m3:\n"
  "  mn_begin\n"
  "2:\n"
  "  mn_channel 0\n"
  "  bne 2b\n"
  "  pop {r4-r11, pc}\n"
  "  .size mn_depthwise_pixel_m3, . - mn_depthwise_pixel_m3\n"
  "  .thumb_func\n"
  "  .type mn_depthwise_pair_m3, %function\n"
  "mn_depthwise_pair_m3:\n"
  "  mn_begin\n"
  "2:\n"
  "  mn_channel 1\n"
  "  bne 2b\n"
  "  pop {r4-r11, pc}\n"
  "  .size mn_depthwise_pair_m3, . - mn_depthwise_pair_m3\n"
  "  .purgem mn_begin\n"
  "  .purgem mn_row\n"
  "  .purgem mn_channel\n"
  "  .popsection\n");

#else

static int8_t one_output(const int8_t *const row[3], int32_t tap, const int32_t *words, uint32_t zero2)
{
  const int8_t *const w = (const int8_t *)words;
  uint32_t acc = 0;

  for (int32_t i = 0; i < 9; i++) {
    acc += (uint32_t)(row[i / 3][i % 3 * tap] * w[i]);
  }
  return mn_requantize_short((uint32_t)words[3] + 2 * acc, words[4], (uint8_t)w[9], zero2);
}

static void mn_depthwise_pair_m3(const int8_t *x, int32_t tap, const int32_t *words, int8_t *out, const int8_t *y,
                                 const int8_t *z, const int8_t *out_end, uint32_t zero2)
{
  for (; out != out_end; x++, y++, z++, words += 5) {
    const int8_t *const row[] = {x, y, z}, *const next[] = {x + tap, y + tap, z + tap};

    out[tap] = one_output(next, tap, words, zero2);
    *out++ = one_output(row, tap, words, zero2);
  }
}

static void mn_depthwise_pixel_m3(const int8_t *x, int32_t tap, const int32_t *words, int8_t *out, const int8_t *y,
                                  const int8_t *z, const int8_t *out_end, uint32_t zero2)
{
  for (; out != out_end; x++, y++, z++, words += 5) {
    const int8_t *const row[] = {x, y, z};

    *out++ = one_output(row, tap, words, zero2);
  }
}

#endif

void mn_depthwise_s8_m3(const struct mn_depthwise_s8_m3 *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                        int32_t to)
{
  const int32_t channels = p->in_c, tap = p->in_step, step = from < to ? 1 : -1, run = p->in_w * tap;
  const struct mn_patch patch = {in, scratch, p->in_h, run, p->in_ring, run - tap + channels, 2 * tap + channels,
                                 p->input_zero_point};
  const int32_t pairs = p->stride_w == 1 && p->out_step == tap;         // a pair's outputs lie a tap apart
  const uint32_t zero2 = (uint32_t)(2 * p->output_zero_point + 1);

  for (int32_t oy = from < to ? from : from - 1; oy != (from < to ? to : to - 1); oy += step) {
    int8_t *const line = out + mn_slot(oy, p->out_ring) * p->out_w * p->out_step;
    const int32_t iy = oy * p->stride_h - p->pad_top;

    for (int32_t done = 0; done < p->out_w; ) {
      const int32_t left = p->out_w - done;
      const int8_t *row[3];
      int32_t ox = step > 0 ? done : left - 2;                          // of a pair
      int32_t at = (ox - p->pad_left) * tap;
      int8_t *write = line + ox * p->out_step;

      if (left >= 2 && pairs && at >= 0 && at + 4 * tap <= run && iy >= 0 && iy + 3 <= p->in_h) {
        mn_patch_rows(&patch, iy, at, row);
        mn_depthwise_pair_m3(row[0], tap, p->words, write, row[1], row[2], write + channels, zero2);
        done += 2;
      } else {
        ox = step > 0 ? done : left - 1;
        at = (ox * p->stride_w - p->pad_left) * tap;
        write = line + ox * p->out_step;
        mn_patch_rows(&patch, iy, at, row);
        mn_depthwise_pixel_m3(row[0], tap, p->words, write, row[1], row[2], write + channels, zero2);
        done++;
      }
    }
    if (p->low > INT8_MIN || p->high < INT8_MAX) {
      mn_clamp_pixels(line, p->out_w, channels, p->out_step, p->low, p->high);
    }
  }
}
