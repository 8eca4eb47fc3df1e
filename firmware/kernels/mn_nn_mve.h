// SPDX-License-Identifier: Apache-2.0
// Layers on cores with the M-profile vector extension (Cortex-M55, M85). Tables are packed by
// mcunas/compiler/lower/mve_packing.py; rows and rings as in mn_rows.h, steps as in mn_nn.h.
//
// Weights come in blocks of output channels, each block as [step][channel][16]: a step is 16 bytes of the window, the
// last one filled up with zeros. Channels after the last whole block follow one by one, without filling.
// Requantization per block: biases, multipliers, then right shifts (a negative byte each), in the order in which the
// kernel's lanes hold the channels; per channel after the blocks: bias, multiplier, shift as three words.
// `ties`: 1 when values below the output zero point survive the activation, so that their rounding matters.
#ifndef MN_NN_MVE_H
#define MN_NN_MVE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Pixels of depth <= 64 bytes times [outputs][depth]; blocks of eight channels. A pixel is read before it is written.
struct mn_pointwise_s8_mve {
  const int8_t *weights;
  const int32_t *requant;
  uint16_t in_ring, out_ring;
  uint16_t width, depth, outputs, in_step, out_step;
  int8_t output_zero_point, low, high;
  uint8_t ties;
};
void mn_pointwise_s8_mve(const struct mn_pointwise_s8_mve *p, const int8_t *in, int8_t *out, int32_t from, int32_t to);

// The same for any depth, with one multiplier and right shift (negative, or 0) for all channels.
struct mn_fully_connected_s8_mve {
  const int8_t *weights;
  const int32_t *bias;
  uint16_t in_ring, out_ring;
  int32_t width, depth, outputs;
  int32_t multiplier;
  int8_t shift, output_zero_point, low, high;
  uint8_t ties;
};
void mn_fully_connected_s8_mve(const struct mn_fully_connected_s8_mve *p, const int8_t *in, int8_t *out, int32_t from,
                               int32_t to);

// Convolution, kernel_w taps side by side (no dilation in x): a row of taps is a run of run_bytes input bytes (kernel_w
// times the channels). Two pixels at a time are gathered into scratch (2 * steps * 16 bytes); blocks of four channels.
#define MN_CONV_MVE_MEMBERS                                                     \
  const int8_t *weights;                                                        \
  const int32_t *requant;                                                       \
  uint16_t in_h, in_w, in_step, out_w, out_c, out_step, in_ring, out_ring;      \
  uint16_t kernel_h, run_bytes, stride_h, stride_w, dilation_h, pad_top, pad_left; \
  int8_t input_zero_point, output_zero_point, low, high;                        \
  uint8_t ties
struct mn_conv_s8_mve {
  MN_CONV_MVE_MEMBERS;
};
void mn_conv_s8_mve(const struct mn_conv_s8_mve *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                    int32_t to);

// The same with int4 weights: blocks of four channels as [step][pair][16], then pairs as [step][16]. A byte is
// 16 * second + first + 8; with x the inputs, S = sum of byte * x and T = sum of its low half * x, the second channel's
// sum is (S - T) / 16 and the first one's T less 8 sum x.
struct mn_conv_s4_mve {
  MN_CONV_MVE_MEMBERS;
};
void mn_conv_s4_mve(const struct mn_conv_s4_mve *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                    int32_t to);

// Depthwise convolution of up to nine taps, any stride and dilation. Blocks of 16 channels, in the narrow kernel of
// eight; the last block overlaps the one before it when in_c is no multiple.
// weights: [block][9][channels of a block]; taps beyond the window have weights of 0. padding: in_c input zero points.
struct mn_depthwise_s8_mve {
  const int8_t *weights;
  const int32_t *requant;
  const int8_t *padding;
  uint16_t in_h, in_w, in_c, in_step, out_w, out_step, in_ring, out_ring;
  uint16_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
  int8_t output_zero_point, low, high;
  uint8_t ties;
};
void mn_depthwise_s8_mve(const struct mn_depthwise_s8_mve *p, const int8_t *in, int8_t *out, int32_t from, int32_t to);

struct mn_depthwise_narrow_s8_mve {
  struct mn_depthwise_s8_mve layer;
};
void mn_depthwise_narrow_s8_mve(const struct mn_depthwise_narrow_s8_mve *p, const int8_t *in, int8_t *out, int32_t from,
                                int32_t to);

// ADD and SUB of equal shapes: out = (in0 * factor0 + in1 * factor1 + constant) >> shift, limited to low..high; rows of
// `count` bytes. The lowering finds numbers that give TFLite Micro's result for every pair of bytes.
struct mn_add_s8_mve {
  uint16_t ring0, ring1, out_ring;
  int32_t count, factor0, factor1, constant, shift;
  int8_t low, high;
};
void mn_add_s8_mve(const struct mn_add_s8_mve *p, const int8_t *in0, const int8_t *in1, int8_t *out, int32_t from,
                   int32_t to);

#ifdef __cplusplus
}
#endif
#endif
