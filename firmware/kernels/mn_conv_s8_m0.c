// SPDX-License-Identifier: Apache-2.0
// Convolution for Armv6-M: runs of weights times words of two pixels, see mn_conv_s8_m3.c. The core's multiplication
// overwrites a factor, so LDM reloads the inputs for each channel: 7 instructions for 4 multiply-accumulates, 15 a run.
#include "mn_gather.h"
#include "mn_nn_scalar.h"
#include "mn_staircase.h"

#define PIXELS 4
#define CHANNELS 8             // whose sums wait for their requantization

// Sums of four pixels times whole channels to acc..acc_end, as [channel][pixel]; returns the stream behind them.
// x: [inputs][2] words of two pixels.
#if defined(__ARM_ARCH_6M__)

const int8_t *mn_conv_sums_m0(const int32_t *x, const int8_t *stream, uint32_t *acc, const uint32_t *acc_end);

// r0, r1: inputs, r2: weight, r3 walks over x, r4 over the stream, r5: 0, r6, r7: the run's sums; r8, r9: upper halves,
// r10, r11: whole sums, r12: 2^15, lr: end of the steps. The arguments stay on the stack: [sp] x, [sp, 8] acc, acc_end.
__asm__(
  "  .syntax unified\n"
  "  .pushsection .text.mn_conv_sums_m0, \"ax\", %progbits\n"
  "  .balign 4\n"
  "  .thumb\n"
  "  .thumb_func\n"
  "  .type mn_conv_sums_m0, %function\n"

  "mn_conv_sums_m0:\n"
  "  push {r4-r7, lr}\n"
  "  mov r4, r8\n"
  "  mov r5, r9\n"
  "  mov r6, r10\n"
  "  mov r7, r11\n"
  "  push {r4-r7}\n"
  "  push {r0-r3}\n"
  "  mov r4, r1\n"
  "  adr r1, 4f\n"
  "  mov lr, r1\n"
  "  movs r5, #0\n"
  "  movs r1, #1\n"
  "  lsls r1, r1, #15\n"
  "  mov r12, r1\n"
  "2:\n"                                    // a channel
  "  ldr r3, [sp]\n"
  "  mov r8, r5\n"
  "  mov r9, r5\n"
  "  mov r10, r5\n"
  "  mov r11, r5\n"
  "  b 5f\n"
  "  .balign 4\n"
  "  .rept 16\n"
  "  ldrsb r2, [r4, r5]\n"
  "  adds r4, #1\n"
  "  ldmia r3!, {r0, r1}\n"
  "  muls r0, r2\n"
  "  add r6, r0\n"
  "  muls r1, r2\n"
  "  add r7, r1\n"
  "  .endr\n"
  "4:\n"
  "  add r10, r6\n"
  "  asrs r6, r6, #16\n"
  "  add r8, r6\n"
  "  add r11, r7\n"
  "  asrs r7, r7, #16\n"
  "  add r9, r7\n"
  "5:\n"                                    // a run: r2 halfwords of steps before their end; 0: the channel ends
  "  ldrb r2, [r4]\n"
  "  adds r4, #1\n"
  "  mov r6, r12\n"
  "  mov r7, r12\n"
  "  lsls r2, r2, #1\n"
  "  beq 6f\n"
  "  mov r1, lr\n"
  "  subs r1, r1, r2\n"
  "  mov pc, r1\n"
  "6:\n"
  "  ldrb r0, [r4]\n"
  "  ldrb r1, [r4, #1]\n"
  "  adds r4, #2\n"
  "  lsls r1, r1, #8\n"
  "  adds r0, r0, r1\n"
  "  lsls r0, r0, #15\n"
  "  mov r2, r8\n"
  "  lsls r1, r2, #16\n"
  "  adds r1, r1, r0\n"
  "  mov r6, r10\n"
  "  subs r1, r6, r1\n"
  "  mov r6, r9\n"
  "  lsls r3, r6, #16\n"
  "  adds r3, r3, r0\n"
  "  mov r7, r11\n"
  "  subs r3, r7, r3\n"
  "  ldr r7, [sp, #8]\n"
  "  stmia r7!, {r1, r2, r3, r6}\n"
  "  str r7, [sp, #8]\n"
  "  ldr r0, [sp, #12]\n"
  "  cmp r7, r0\n"
  "  beq 7f\n"
  "  b 2b\n"
  "7:\n"
  "  mov r0, r4\n"
  "  add sp, #16\n"
  "  pop {r4-r7}\n"
  "  mov r8, r4\n"
  "  mov r9, r5\n"
  "  mov r10, r6\n"
  "  mov r11, r7\n"
  "  pop {r4-r7, pc}\n"
  "  .size mn_conv_sums_m0, . - mn_conv_sums_m0\n"
  "  .popsection\n");

#else

static const int8_t *mn_conv_sums_m0(const int32_t *x, const int8_t *stream, uint32_t *acc, const uint32_t *acc_end)
{
  for (; acc != acc_end; acc += PIXELS, stream += 2) {
    uint32_t upper[2] = {0}, whole[2] = {0}, length;
    const int32_t *v = x;

    while ((length = (uint8_t)*stream++) != 0) {
      uint32_t sum[2] = {0x8000, 0x8000};

      for (length /= 7; length > 0; length--, v += 2, stream++) {
        sum[0] += (uint32_t)*stream * (uint32_t)v[0];
        sum[1] += (uint32_t)*stream * (uint32_t)v[1];
      }
      for (int32_t k = 0; k < 2; k++) {
        upper[k] += (uint32_t)((int32_t)sum[k] >> 16);
        whole[k] += sum[k];
      }
    }
    const uint32_t runs = (uint8_t)stream[0] | (uint32_t)(uint8_t)stream[1] << 8;

    for (int32_t k = 0; k < 2; k++) {
      acc[2 * k] = whole[k] - (upper[k] << 16) - (runs << 15);
      acc[2 * k + 1] = upper[k];
    }
  }
  return stream;
}

#endif

void mn_conv_s8_m0(const struct mn_conv_s8_m0 *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                   int32_t to)
{
  const struct mn_gather window = {p->in_h, p->in_w * p->in_step, p->in_ring, p->kernel_h, p->dilation_h, p->run_bytes,
                                   p->input_zero_point};
  const int32_t step = from < to ? 1 : -1, last_x = p->out_w - 1, words = MN_STAIRCASE_WORDS(p->signs);
  const int32_t pixel = p->out_step;
  int32_t *const x = scratch;
  int32_t left = (to - from) * step * p->out_w, oy = from < to ? from : from - 1, ox = from < to ? 0 : last_x;

  for (; left > 0; left -= PIXELS) {
    const int32_t *requant = p->requant;
    const int8_t *stream = p->stream;
    struct mn_place places[PIXELS];
    uint32_t acc[CHANNELS * PIXELS];
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
    for (int32_t c = 0; c < p->out_c; ) {
      const int32_t count = p->out_c - c < CHANNELS ? p->out_c - c : CHANNELS;

      stream = mn_conv_sums_m0(x, stream, acc, acc + PIXELS * count);
      for (const uint32_t *sum = acc; sum != acc + PIXELS * count; sum += PIXELS, c++, requant += words) {
        mn_staircase(requant, p->signs, sum, PIXELS, write, c);
      }
    }
  }
}
