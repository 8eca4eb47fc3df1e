// SPDX-License-Identifier: Apache-2.0
// Layers with weights on cores without the DSP extension: Cortex-M3 (_m3) and Armv6-M, that is M0, M0+, M1 (_m0). The
// tables are packed by mcunas/compiler/lower/scalar.py and staircase.py. Rows and rings as in mn_rows.h, steps as in
// mn_nn.h.
#ifndef MN_NN_SCALAR_H
#define MN_NN_SCALAR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Convolution, taps side by side (no dilation in x), any stride; run_bytes = kernel_w times the channels. The windows of
// four pixels are widened into scratch: 8 bytes per weight of a channel.
// stream: per channel runs of weights (a byte: how many, 1..16, then they), a byte 0, the number of runs in two bytes,
// the right shift less one. requant: per channel twice the folded bias and the multiplier.
struct mn_conv_s8_m3 {
  const int8_t *stream;
  const int32_t *requant;
  uint16_t in_h, in_w, in_step, out_w, out_c, out_step, in_ring, out_ring;
  uint16_t kernel_h, run_bytes, stride_h, stride_w, dilation_h, pad_top, pad_left;
  int8_t input_zero_point, output_zero_point, low, high;
};
void mn_conv_s8_m3(const struct mn_conv_s8_m3 *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                   int32_t to);

// The same; runs count halfwords of code, seven a weight, and no shift ends a channel. requant: see mn_staircase.h.
struct mn_conv_s8_m0 {
  const int8_t *stream;
  const int32_t *requant;
  uint16_t in_h, in_w, in_step, out_w, out_c, in_ring, out_ring, out_step;
  uint16_t kernel_h, run_bytes, stride_h, stride_w, dilation_h, pad_top, pad_left;
  int8_t input_zero_point;
  uint8_t signs;
};
void mn_conv_s8_m0(const struct mn_conv_s8_m0 *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                   int32_t to);

// The same with int4 weights. weights: pairs of channels as [input], 16 * (second + 8) + first + 8; an odd last second is 0.
struct mn_conv_s4_m0 {
  const uint8_t *weights;
  const int32_t *requant;
  uint16_t in_h, in_w, in_step, out_w, out_c, in_ring, out_ring, out_step;
  uint16_t kernel_h, run_bytes, stride_h, stride_w, dilation_h, pad_top, pad_left;
  int8_t input_zero_point;
  uint8_t signs;
};
void mn_conv_s4_m0(const struct mn_conv_s4_m0 *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                   int32_t to);

// 3x3 depthwise convolution, one output channel per input channel, no dilation. scratch: 6 * in_step + 3 * in_c bytes.
// words: five per channel: the bytes of nine weights, of the shift and two of nothing, twice the bias, the multiplier.
struct mn_depthwise_s8_m3 {
  const int32_t *words;
  uint16_t in_h, in_w, in_c, in_step, out_w, out_step, in_ring, out_ring;
  uint16_t stride_h, stride_w, pad_top, pad_left;
  int8_t input_zero_point, output_zero_point, low, high;
};
void mn_depthwise_s8_m3(const struct mn_depthwise_s8_m3 *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                        int32_t to);

// weights: per channel a word for each row of taps: bytes 0, 3 and 1 are the taps from left to right.
struct mn_depthwise_s8_m0 {
  const uint32_t *weights;
  const int32_t *requant;
  int8_t input_zero_point;
  uint8_t signs;
  uint16_t in_h, in_w, in_c, in_step, out_w, out_step, in_ring, out_ring;
  uint16_t stride_h, stride_w, pad_top, pad_left;
};
void mn_depthwise_s8_m0(const struct mn_depthwise_s8_m0 *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                        int32_t to);

// One pixel times [outputs][depth]. weights: blocks of eight outputs (the last filled up) as [input][8]; m0: plus 128.
struct mn_fully_connected_s8_m3 {
  const int8_t *weights;
  const int32_t *requant;
  int32_t depth, outputs;
  int8_t output_zero_point, low, high;
};
void mn_fully_connected_s8_m3(const struct mn_fully_connected_s8_m3 *p, const int8_t *in, int8_t *out);

struct mn_fully_connected_s8_m0 {
  const uint8_t *weights;
  const int32_t *requant;
  int32_t depth, outputs;
  uint8_t signs;
};
void mn_fully_connected_s8_m0(const struct mn_fully_connected_s8_m0 *p, const int8_t *in, int8_t *out);

#ifdef __cplusplus
}
#endif
#endif
