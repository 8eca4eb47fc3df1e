// SPDX-License-Identifier: Apache-2.0
// Layers with weights, pools, mean and softmax on int8 tensors (NHWC). Layers that slide a window see one image.
//
// Tables are constant and indexed by output channel. `bias` already holds the layer's bias less
// input_zero_point * (sum of the channel's weights), so that a kernel multiplies raw input bytes; a tap on the padding
// reads input_zero_point. `multiplier` and `shift` advance by requant_step per channel: 0 when one pair serves all.
// Padding after the last pixel is implied by the output size. `from` and `to`: the rows to compute, see mn_rows.h;
// in_ring and out_ring: the rows that the buffers hold. in_step and out_step: bytes from a pixel to the next, more than
// its channels where the tensor is part of one that has more (CONCATENATION without a copy).
#ifndef MN_NN_H
#define MN_NN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Convolution, any kernel, stride, dilation, groups. weights: [out_c][kernel_h][kernel_w][group_c].
struct mn_conv_s8 {
  const int8_t *weights;
  const int32_t *bias;
  const int32_t *multiplier;
  const int8_t *shift;
  uint16_t in_ring, out_ring, in_h, in_w, in_step, out_w, out_c, out_step;
  uint16_t group_c;        // input channels that one output channel reads
  uint16_t group_out_c;    // output channels that read the same input channels
  uint16_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
  int32_t input_zero_point, output_zero_point;
  int8_t low, high;
  uint8_t requant_step;
};
void mn_conv_s8(const struct mn_conv_s8 *p, const int8_t *in, int8_t *out, int32_t from, int32_t to);

// Depthwise convolution. weights: [in_c * multiplier_c][kernel_h][kernel_w]; output channel c reads c / multiplier_c.
struct mn_depthwise_s8 {
  const int8_t *weights;
  const int32_t *bias;
  const int32_t *multiplier;
  const int8_t *shift;
  uint16_t in_ring, out_ring, in_h, in_w, in_c, in_step, out_w, out_step, multiplier_c;
  uint16_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
  int32_t input_zero_point, output_zero_point;
  int8_t low, high;
  uint8_t requant_step;
};
void mn_depthwise_s8(const struct mn_depthwise_s8 *p, const int8_t *in, int8_t *out, int32_t from, int32_t to);

// Pixels of `depth` bytes times [outputs][depth]: fully connected layers, 1x1 convolutions with `width` pixels a row.
struct mn_fully_connected_s8 {
  const int8_t *weights;
  const int32_t *bias;
  const int32_t *multiplier;
  const int8_t *shift;
  uint16_t in_ring, out_ring;
  int32_t width, depth, outputs, in_step, out_step;
  int32_t output_zero_point;
  int8_t low, high;
  uint8_t requant_step;
};
void mn_fully_connected_s8(const struct mn_fully_connected_s8 *p, const int8_t *in, int8_t *out, int32_t from,
                           int32_t to);

// The same layers with int4 weights. Convolution (without groups) and fully connected: a byte holds two output channels,
// 16 * second + first + 8 (mn_pairs.h), in the layouts above with pairs in the place of channels; after an odd last
// channel the second is 0. Depthwise: a channel's taps, two a byte, the first in the low half, in two's complement.
struct mn_conv_s4 {
  const int8_t *weights;
  const int32_t *bias;
  const int32_t *multiplier;
  const int8_t *shift;
  uint16_t in_ring, out_ring, in_h, in_w, in_step, out_w, out_c, out_step;
  uint16_t group_c;        // input channels
  uint16_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
  int32_t input_zero_point, output_zero_point;
  int8_t low, high;
  uint8_t requant_step;
};
void mn_conv_s4(const struct mn_conv_s4 *p, const int8_t *in, int8_t *out, int32_t from, int32_t to);

struct mn_depthwise_s4 {
  const int8_t *weights;
  const int32_t *bias;
  const int32_t *multiplier;
  const int8_t *shift;
  uint16_t in_ring, out_ring, in_h, in_w, in_c, in_step, out_w, out_step, multiplier_c;
  uint16_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
  int32_t input_zero_point, output_zero_point;
  int8_t low, high;
  uint8_t requant_step;
};
void mn_depthwise_s4(const struct mn_depthwise_s4 *p, const int8_t *in, int8_t *out, int32_t from, int32_t to);

struct mn_fully_connected_s4 {
  const int8_t *weights;
  const int32_t *bias;
  const int32_t *multiplier;
  const int8_t *shift;
  uint16_t in_ring, out_ring;
  int32_t width, depth, outputs, in_step, out_step;
  int32_t output_zero_point;
  int8_t low, high;
  uint8_t requant_step;
};
void mn_fully_connected_s4(const struct mn_fully_connected_s4 *p, const int8_t *in, int8_t *out, int32_t from,
                           int32_t to);

// Transposed convolution: each output is gathered from the inputs that reach it.
// weights: [out_c][kernel_h][kernel_w][in_c].
// `bias` is the layer's own (nothing folded in), because the number of taps that reach a pixel varies.
struct mn_transpose_conv_s8 {
  const int8_t *weights;
  const int32_t *bias;
  const int32_t *multiplier;
  const int8_t *shift;
  uint16_t batches, in_h, in_w, in_c, out_h, out_w, out_c;
  uint16_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left;
  int32_t input_zero_point, output_zero_point;
  int8_t low, high;
  uint8_t requant_step;
};
void mn_transpose_conv_s8(const struct mn_transpose_conv_s8 *p, const int8_t *in, int8_t *out);

// Pools look only at the pixels inside the input.
struct mn_average_pool_s8 {
  uint16_t in_ring, out_ring, in_h, in_w, channels, out_w;
  uint16_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left;
  int8_t low, high;
};
void mn_average_pool_s8(const struct mn_average_pool_s8 *p, const int8_t *in, int8_t *out, int32_t from, int32_t to);

struct mn_max_pool_s8 {
  uint16_t in_ring, out_ring, in_h, in_w, channels, out_w;
  uint16_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left;
  int8_t low, high;
};
void mn_max_pool_s8(const struct mn_max_pool_s8 *p, const int8_t *in, int8_t *out, int32_t from, int32_t to);

// Mean over any axes. Axes that stay and axes that go, outermost first, neighbours merged; unused ones have size 1.
struct mn_mean_s8 {
  uint32_t keep[3], keep_stride[3];        // elements
  uint32_t reduce[3], reduce_stride[3];
  int32_t offset;                          // -input zero point times the elements per mean
  int32_t multiplier;
  int8_t shift;
  int32_t output_zero_point;
};
void mn_mean_s8(const struct mn_mean_s8 *p, const int8_t *in, int8_t *out);

// Softmax of each row. Input differences times (multiplier, shift) are Q5.26; those below diff_min give 0.
struct mn_softmax_s8 {
  uint32_t rows, depth;
  int32_t multiplier;
  int32_t diff_min;
  int8_t shift;
};
void mn_softmax_s8(const struct mn_softmax_s8 *p, const int8_t *in, int8_t *out);

#ifdef __cplusplus
}
#endif
#endif
