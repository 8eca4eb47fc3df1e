// SPDX-License-Identifier: Apache-2.0
// Kernels on int16 activations (zero point 0). Rows and rings as in mn_rows.h; steps, rows and runs count values.
//
// Layers with weights: int8 weights, int64 sums and biases (TFLite's 16x8). Tables are constant and indexed by output
// channel; `multiplier` has 15 bits and `shift` goes to the right, both advance by requant_step per channel: 0 when one
// pair serves all. A tap on the padding adds nothing. in_step and out_step: values from a pixel to the next.
#ifndef MN_NN_S16_H
#define MN_NN_S16_H

#include <stdint.h>

#include "mn_tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

// As mn_conv_s8.
#define MN_CONV_S16_MEMBERS \
  const int8_t *weights; \
  const int64_t *bias; \
  const int16_t *multiplier; \
  const int8_t *shift; \
  uint16_t in_ring, out_ring, in_h, in_w, in_step, out_w, out_c, out_step; \
  uint16_t group_c, group_out_c; \
  uint16_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left; \
  int16_t low, high; \
  uint8_t requant_step;

struct mn_conv_s16 {
  MN_CONV_S16_MEMBERS
};
void mn_conv_s16(const struct mn_conv_s16 *p, const int16_t *in, int16_t *out, int32_t from, int32_t to);

// With the DSP extension.
struct mn_conv_s16_dsp {
  MN_CONV_S16_MEMBERS
};
void mn_conv_s16_dsp(const struct mn_conv_s16_dsp *p, const int16_t *in, int16_t *out, int32_t from, int32_t to);

// As mn_depthwise_s8; kernel_w at most 256.
struct mn_depthwise_s16 {
  const int8_t *weights;
  const int64_t *bias;
  const int16_t *multiplier;
  const int8_t *shift;
  uint16_t in_ring, out_ring, in_h, in_w, in_c, in_step, out_w, out_step, multiplier_c;
  uint16_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
  int16_t low, high;
  uint8_t requant_step;
};
void mn_depthwise_s16(const struct mn_depthwise_s16 *p, const int16_t *in, int16_t *out, int32_t from, int32_t to);

// As mn_fully_connected_s8.
#define MN_FULLY_CONNECTED_S16_MEMBERS \
  const int8_t *weights; \
  const int64_t *bias; \
  const int16_t *multiplier; \
  const int8_t *shift; \
  uint16_t in_ring, out_ring; \
  int32_t width, depth, outputs, in_step, out_step; \
  int16_t low, high; \
  uint8_t requant_step;

struct mn_fully_connected_s16 {
  MN_FULLY_CONNECTED_S16_MEMBERS
};
void mn_fully_connected_s16(const struct mn_fully_connected_s16 *p, const int16_t *in, int16_t *out, int32_t from,
                            int32_t to);

// With the DSP extension.
struct mn_fully_connected_s16_dsp {
  MN_FULLY_CONNECTED_S16_MEMBERS
};
void mn_fully_connected_s16_dsp(const struct mn_fully_connected_s16_dsp *p, const int16_t *in, int16_t *out, int32_t from,
                                int32_t to);

// out = zero_out + scale(in - zero_in), saturated; the scale as in mn_scale. Rows of `count` values.
struct mn_quantize_s8_s16 {
  uint16_t in_ring, out_ring;
  int32_t count, zero_in, zero_out, mantissa, shift;
};
void mn_quantize_s8_s16(const struct mn_quantize_s8_s16 *p, const int8_t *in, int16_t *out, int32_t from, int32_t to);

struct mn_quantize_s16_s8 {
  uint16_t in_ring, out_ring;
  int32_t count, zero_in, zero_out, mantissa, shift;
};
void mn_quantize_s16_s8(const struct mn_quantize_s16_s8 *p, const int16_t *in, int8_t *out, int32_t from, int32_t to);

struct mn_quantize_s16_s16 {
  uint16_t in_ring, out_ring;
  int32_t count, zero_in, zero_out, mantissa, shift;
};
void mn_quantize_s16_s16(const struct mn_quantize_s16_s16 *p, const int16_t *in, int16_t *out, int32_t from, int32_t to);

// out = round(in / scale), ties away from zero, saturated; NaN gives 0. scale_bits: as in mn_quantize_f32_s8.
struct mn_quantize_f32_s16 {
  uint32_t scale_bits;
  int32_t count;
};
void mn_quantize_f32_s16(const struct mn_quantize_f32_s16 *p, const float *in, int16_t *out);

// out = scale * in.
struct mn_dequantize_s16_f32 {
  uint32_t scale_bits;
  int32_t count;
};
void mn_dequantize_s16_f32(const struct mn_dequantize_s16_f32 *p, const int16_t *in, float *out);

// out = scale_out(scale0(in0 * 2^15) + scale1(in1 * 2^15)), limited to low..high; otherwise as mn_add_s8.
struct mn_add_s16 {
  int32_t mantissa0, shift0;
  int32_t mantissa1, shift1;
  int32_t mantissa_out, shift_out;
  int32_t low, high;
  int32_t negate;
  struct mn_pair pair;
};
void mn_add_s16(const struct mn_add_s16 *p, const int16_t *in0, const int16_t *in1, int16_t *out, int32_t from, int32_t to);

// out = in0 * in1 * mantissa * 2^(-31 - shift), rounded as in mn_scale, limited to low..high.
struct mn_mul_s16 {
  int32_t mantissa, shift;
  int32_t low, high;
  struct mn_pair pair;
};
void mn_mul_s16(const struct mn_mul_s16 *p, const int16_t *in0, const int16_t *in1, int16_t *out, int32_t from, int32_t to);

// A function that is odd about its centre, as straight lines between the 256 entries of `table`, the first of them 32768.
// x = (in * multiplier + half) >> shift; d is the line at |x|, with `fraction` bits behind the table's point, less its
// beginning: `most` beyond the last entry. out = (offset + d) >> out_shift rounded, below the centre offset - d.
struct mn_sigmoid_s16 {
  const uint16_t *table;
  uint16_t in_ring, out_ring;
  int32_t count, multiplier, most, offset;
  int8_t shift, fraction, out_shift;
};
void mn_sigmoid_s16(const struct mn_sigmoid_s16 *p, const int16_t *in, int16_t *out, int32_t from, int32_t to);

// Softmax of each row. Input differences times (multiplier, shift) are 65535 steps to 10; tables of 513 entries in Q0.15:
// exp on [-10, 0], 1 / (1 + x) on [0, 1].
struct mn_softmax_s16 {
  const int16_t *exponentials, *reciprocals;
  uint32_t rows, depth;
  int32_t multiplier;
  int8_t shift;
};
void mn_softmax_s16(const struct mn_softmax_s16 *p, const int16_t *in, int16_t *out);

// As mn_transpose_conv_s8.
struct mn_transpose_conv_s16 {
  const int8_t *weights;
  const int64_t *bias;
  const int16_t *multiplier;
  const int8_t *shift;
  uint16_t batches, in_h, in_w, in_c, out_h, out_w, out_c;
  uint16_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left;
  int16_t low, high;
  uint8_t requant_step;
};
void mn_transpose_conv_s16(const struct mn_transpose_conv_s16 *p, const int16_t *in, int16_t *out);

// Pools look only at the pixels inside the input.
struct mn_average_pool_s16 {
  uint16_t in_ring, out_ring, in_h, in_w, channels, out_w;
  uint16_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left;
  int16_t low, high;
};
void mn_average_pool_s16(const struct mn_average_pool_s16 *p, const int16_t *in, int16_t *out, int32_t from, int32_t to);

struct mn_max_pool_s16 {
  uint16_t in_ring, out_ring, in_h, in_w, channels, out_w;
  uint16_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left;
  int16_t low, high;
};
void mn_max_pool_s16(const struct mn_max_pool_s16 *p, const int16_t *in, int16_t *out, int32_t from, int32_t to);

// As mn_mean_s8.
struct mn_mean_s16 {
  uint32_t keep[3], keep_stride[3];
  uint32_t reduce[3], reduce_stride[3];
  int32_t multiplier;
  int8_t shift;
};
void mn_mean_s16(const struct mn_mean_s16 *p, const int16_t *in, int16_t *out);

#ifdef __cplusplus
}
#endif
#endif
