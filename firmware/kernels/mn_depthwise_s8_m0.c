// SPDX-License-Identifier: Apache-2.0
// 3x3 depthwise convolution for Armv6-M.
#include "mn_nn_scalar.h"
#include "mn_patch.h"
#include "mn_staircase.h"

#define CHANNELS 16            // whose sums wait for their requantization

// *acc..acc_end: sums of the channels from x on. tap: from a pixel to the next; to_y, to_z: from the first row of taps
// to the second, from that to the third. weights: a word per row of taps: bytes 0, 3 and 1, from left to right.
#if defined(__ARM_ARCH_6M__)

void mn_depthwise_sums_m0(const int8_t *x, int32_t tap, const uint32_t *weights, uint32_t *acc, const uint32_t *acc_end,
                          int32_t to_y, int32_t to_z);

// r0: input, r1: tap, r2: 2 taps, r3: 0, r4: weights, r5: word of them, r6: weight, r7: input byte; r8: sum, r9: to_y,
// r10: to_z, r11: back to the next channel of the first row, r12: acc, lr: acc_end.
__asm__(
  "  .syntax unified\n"
  "  .pushsection .text.mn_depthwise_sums_m0, \"ax\", %progbits\n"
  "  .balign 4\n"
  "  .thumb\n"
  "  .thumb_func\n"
  "  .type mn_depthwise_sums_m0, %function\n"
  "  .macro mn_row\n"
  "  ldmia r4!, {r5}\n"
  "  sxtb r6, r5\n"
  "  ldrsb r7, [r0, r3]\n"
  "  muls r6, r7\n"
  "  add r8, r6\n"
  "  asrs r6, r5, #24\n"
  "  ldrsb r7, [r0, r1]\n"
  "  muls r6, r7\n"
  "  add r8, r6\n"
  "  lsls r5, r5, #16\n"
  "  asrs r5, r5, #24\n"
  "  ldrsb r7, [r0, r2]\n"
  "  muls r5, r7\n"
  "  add r8, r5\n"
  "  .endm\n"

  "mn_depthwise_sums_m0:\n"
  "  push {r4-r7, lr}\n"
  "  mov r4, r8\n"
  "  mov r5, r9\n"
  "  mov r6, r10\n"
  "  mov r7, r11\n"
  "  push {r4-r7}\n"
  "  mov r12, r3\n"
  "  mov r4, r2\n"
  "  lsls r2, r1, #1\n"
  "  ldr r5, [sp, #36]\n"
  "  mov lr, r5\n"
  "  ldr r5, [sp, #40]\n"
  "  mov r9, r5\n"
  "  ldr r6, [sp, #44]\n"
  "  mov r10, r6\n"
  "  adds r5, r5, r6\n"
  "  subs r5, r5, #1\n"
  "  rsbs r5, r5, #0\n"
  "  mov r11, r5\n"
  "  movs r3, #0\n"
  "2:\n"                                    // a channel
  "  mov r8, r3\n"
  "  mn_row\n"
  "  add r0, r9\n"
  "  mn_row\n"
  "  add r0, r10\n"
  "  mn_row\n"
  "  add r0, r11\n"
  "  mov r6, r8\n"
  "  mov r7, r12\n"
  "  stmia r7!, {r6}\n"
  "  mov r12, r7\n"
  "  cmp r7, lr\n"
  "  bne 2b\n"
  "  pop {r4-r7}\n"
  "  mov r8, r4\n"
  "  mov r9, r5\n"
  "  mov r10, r6\n"
  "  mov r11, r7\n"
  "  pop {r4-r7, pc}\n"
  "  .size mn_depthwise_sums_m0, . - mn_depthwise_sums_m0\n"
  "  .purgem mn_row\n"
  "  .popsection\n");

#else

static void mn_depthwise_sums_m0(const int8_t *x, int32_t tap, const uint32_t *weights, uint32_t *acc,
                                 const uint32_t *acc_end, int32_t to_y, int32_t to_z)
{
  for (; acc != acc_end; acc++, x++) {
    const int8_t *v = x;

    *acc = 0;
    for (int32_t row = 0; row < 3; row++, v += row == 1 ? to_y : to_z) {
      const uint32_t w = *weights++;

      *acc += (uint32_t)((int8_t)w * v[0] + (int8_t)(w >> 24) * v[tap] + (int8_t)(w >> 8) * v[2 * tap]);
      if (row == 2) {
        break;
      }
    }
  }
}

#endif

void mn_depthwise_s8_m0(const struct mn_depthwise_s8_m0 *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                        int32_t to)
{
  const int32_t channels = p->in_c, words = MN_STAIRCASE_WORDS(p->signs), step = from < to ? 1 : -1;
  const struct mn_patch patch = {in, scratch, p->in_h, p->in_w * p->in_step, p->in_ring,
                                 (p->in_w - 1) * p->in_step + channels, 2 * p->in_step + channels, p->input_zero_point};

  for (int32_t oy = from < to ? from : from - 1; oy != (from < to ? to : to - 1); oy += step) {
    int8_t *const line = out + mn_slot(oy, p->out_ring) * p->out_w * p->out_step;

    for (int32_t i = 0; i < p->out_w; i++) {
      const int32_t ox = step > 0 ? i : p->out_w - 1 - i;
      const int32_t *requant = p->requant;
      const uint32_t *w = p->weights;
      int8_t *const write = line + ox * p->out_step;
      const int8_t *row[3];

      mn_patch_rows(&patch, oy * p->stride_h - p->pad_top, (ox * p->stride_w - p->pad_left) * p->in_step, row);
      for (int32_t c = 0; c < channels; ) {
        const int32_t count = channels - c < CHANNELS ? channels - c : CHANNELS;
        uint32_t acc[CHANNELS];

        mn_depthwise_sums_m0(row[0] + c, p->in_step, w, acc, acc + count, (int32_t)(row[1] - row[0]),
                             (int32_t)(row[2] - row[1]));
        w += 3 * count;
        for (const uint32_t *sum = acc; sum != acc + count; sum++, c++, requant += words) {
          mn_staircase(requant, p->signs, sum, 1, &write, c);
        }
      }
    }
  }
}
