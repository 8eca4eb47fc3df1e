// SPDX-License-Identifier: Apache-2.0
// Convolution for Cortex-M3. Two pixels share a word, x0 + 2^16 x1, so that one MLA serves both: the sums of a run of
// weights stay within their halves as long as the run's weights are small enough, which the lowering sees to. A run
// begins with 2^15 in the lower half: it cannot become negative, and the upper half is exact. After the run both halves
// are taken out. Four pixels and one channel at a time: 4 instructions for 4 multiply-accumulates, 9 for a run.
#include "mn_gather.h"
#include "mn_nn_scalar.h"
#include "mn_short.h"

#define PIXELS 4

// Four pixels times all channels, pixel k to out[k]. x: [inputs][2] words of two pixels. stream, requant: see
// mn_nn_scalar.h.
#if defined(__ARM_ARCH_7M__)

void mn_conv_pixels_m3(const int32_t *x, const int8_t *stream, const int32_t *requant, int8_t *const *out,
                       int32_t channels, uint32_t zero2);

// r0, r1: inputs, r2: weight, r3 walks over x, r12 over the stream; r4, r5: the run's sums; r6, r7: upper halves;
// r8, r9: whole sums; r10: requant, r11: channel, lr: zero2. The arguments stay on the stack: [sp] x, [sp, 12] out,
// [sp, 52] channels, zero2.
__asm__(
  "  .syntax unified\n"
  "  .pushsection .text.mn_conv_pixels_m3, \"ax\", %progbits\n"
  "  .balign 4\n"
  "  .thumb\n"
  "  .thumb_func\n"
  "  .type mn_conv_pixels_m3, %function\n"
  "  .macro mn_finish acc\n"                // twice the accumulator -> byte; SMLAL adds the rounding halves
  "  lsl r0, lr, r5\n"
  "  mov r4, #0x80000000\n"
  "  smlal r4, r0, \\acc, r1\n"
  "  add r0, r0, \\acc, asr #31\n"
  "  asr r0, r0, r5\n"
  "  ssat \\acc, #8, r0, asr #1\n"
  "  .endm\n"

  "mn_conv_pixels_m3:\n"
  "  push {r0-r11, lr}\n"
  "  mov r12, r1\n"
  "  mov r10, r2\n"
  "  mov r11, #0\n"
  "  ldr lr, [sp, #56]\n"
  "2:\n"                                    // a channel
  "  ldr r3, [sp]\n"
  "  movs r6, #0\n"
  "  movs r7, #0\n"
  "  mov r8, #0\n"
  "  mov r9, #0\n"
  "3:\n"                                    // a run of r2 weights; 0: the channel ends
  "  ldrb r2, [r12], #1\n"
  "  mov r4, #0x8000\n"
  "  mov r5, #0x8000\n"
  "  tbb [pc, r2]\n"
  "4:\n"
  "  .byte (6f - 4b) / 2\n"
  "  .set mn_length, 1\n"
  "  .rept 16\n"
  "  .byte (5f - 4b) / 2 - 8 * mn_length\n"
  "  .set mn_length, mn_length + 1\n"
  "  .endr\n"
  "  .balign 2\n"
  "  .rept 16\n"
  "  ldrd r0, r1, [r3], #8\n"
  "  ldrsb r2, [r12], #1\n"
  "  mla r4, r2, r0, r4\n"
  "  mla r5, r2, r1, r5\n"
  "  .endr\n"
  "5:\n"
  "  add r6, r6, r4, asr #16\n"
  "  add r8, r8, r4\n"
  "  add r7, r7, r5, asr #16\n"
  "  add r9, r9, r5\n"
  "  b.w 3b\n"
  "6:\n"
  "  ldrh r2, [r12], #2\n"
  "  ldrb r5, [r12], #1\n"
  "  ldrd r0, r1, [r10], #8\n"
  "  sub r8, r8, r6, lsl #16\n"
  "  sub r9, r9, r7, lsl #16\n"
  "  sub r8, r8, r2, lsl #15\n"
  "  sub r9, r9, r2, lsl #15\n"
  "  add r6, r0, r6, lsl #1\n"
  "  add r7, r0, r7, lsl #1\n"
  "  add r8, r0, r8, lsl #1\n"
  "  add r9, r0, r9, lsl #1\n"
  "  mn_finish r8\n"
  "  mn_finish r6\n"
  "  mn_finish r9\n"
  "  mn_finish r7\n"
  "  ldr r0, [sp, #12]\n"
  "  ldm r0, {r0, r1, r2, r4}\n"
  "  strb r8, [r0, r11]\n"
  "  strb r6, [r1, r11]\n"
  "  strb r9, [r2, r11]\n"
  "  strb r7, [r4, r11]\n"
  "  ldr r0, [sp, #52]\n"
  "  add r11, r11, #1\n"
  "  cmp r11, r0\n"
  "  bne.w 2b\n"
  "  add sp, sp, #16\n"
  "  pop {r4-r11, pc}\n"
  "  .size mn_conv_pixels_m3, . - mn_conv_pixels_m3\n"
  "  .purgem mn_finish\n"
  "  .popsection\n");

#else

static void mn_conv_pixels_m3(const int32_t *x, const int8_t *stream, const int32_t *requant, int8_t *const *out,
                              int32_t channels, uint32_t zero2)
{
  for (int32_t c = 0; c < channels; c++, requant += 2) {
    uint32_t upper[2] = {0}, whole[2] = {0}, length;
    const int32_t *v = x;

    while ((length = (uint8_t)*stream++) != 0) {
      uint32_t acc[2] = {0x8000, 0x8000};

      for (; length > 0; length--, v += 2, stream++) {
        acc[0] += (uint32_t)*stream * (uint32_t)v[0];
        acc[1] += (uint32_t)*stream * (uint32_t)v[1];
      }
      for (int32_t k = 0; k < 2; k++) {
        upper[k] += (uint32_t)((int32_t)acc[k] >> 16);
        whole[k] += acc[k];
      }
    }
    const uint32_t runs = (uint8_t)stream[0] | (uint32_t)(uint8_t)stream[1] << 8, shift = (uint8_t)stream[2];

    stream += 3;
    for (int32_t k = 0; k < PIXELS; k++) {
      const uint32_t lower = whole[k / 2] - (upper[k / 2] << 16) - (runs << 15);
      const uint32_t acc2 = (uint32_t)requant[0] + 2 * (k % 2 == 0 ? lower : upper[k / 2]);

      out[k][c] = mn_requantize_short(acc2, requant[1], shift, zero2);
    }
  }
}

#endif

void mn_conv_s8_m3(const struct mn_conv_s8_m3 *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                   int32_t to)
{
  const struct mn_gather window = {p->in_h, p->in_w * p->in_step, p->in_ring, p->kernel_h, p->dilation_h, p->run_bytes,
                                   p->input_zero_point};
  const int32_t step = from < to ? 1 : -1, last_x = p->out_w - 1;
  const uint32_t zero2 = (uint32_t)(2 * p->output_zero_point + 1);
  int32_t *const x = scratch;
  int32_t left = (to - from) * step * p->out_w, oy = from < to ? from : from - 1, ox = from < to ? 0 : last_x;

  for (; left > 0; left -= PIXELS) {
    struct mn_place places[PIXELS];
    int8_t *write[PIXELS];

    for (int32_t k = 0; k < PIXELS; k++) {
      places[k] = (struct mn_place){oy * p->stride_h - p->pad_top, (ox * p->stride_w - p->pad_left) * p->in_step};
      write[k] = out + (mn_slot(oy, p->out_ring) * p->out_w + ox) * p->out_step;
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
    mn_conv_pixels_m3(x, p->stream, p->requant, write, p->out_c, zero2);
    if (p->low > INT8_MIN || p->high < INT8_MAX) {
      for (int32_t k = 0; k < PIXELS; k++) {
        mn_clamp_bytes(write[k], p->out_c, p->low, p->high);
      }
    }
  }
}
