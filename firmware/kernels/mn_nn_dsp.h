// SPDX-License-Identifier: Apache-2.0
// Layers with weights on cores with the DSP extension. The tables are packed by mcunas/compiler/lower/packing.py.
//
// Weights: one halfword 256 * B + A per input for two output channels A and B, two inputs per word. With x the inputs,
// S = sum (256 B + A) x and T = sum A x, where A is the sign-extended low byte, sum B x = (S - T) / 256 exactly. Inputs
// come in quads (bytes 0 to 3 of a word); a quad's two words hold bytes 0, 2 and bytes 1, 3, as SXTB16 widens them.
// Requantization, per channel: by lines (mn_requantize_line), the offset with the folded bias in it, and the slope;
// exact (mn_requantize_short), twice the folded bias and the multiplier; the right shift less one stands apart, in
// blocks of four channels as a word of four bytes before them.
#ifndef MN_NN_DSP_H
#define MN_NN_DSP_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Output rows from..to-1 upwards, or from-1..to downwards when from > to (see mn_nn.h). Row r of a tensor lies at slot
// r modulo the rows that its buffer holds. Steps: mn_nn.h.

// Convolution, kernel_w taps side by side (no dilation in x), any stride. A row of taps is a run of run_bytes input
// bytes (kernel_w times the channels), read as quads; the bytes after its quads follow those of all runs, in twos. A
// step is two inputs, one word of each pixel. weights: blocks of four channels as [step][pair of channels], then
// requantization; one or two channels after them as [step], three as a block. first_x, whole: columns from first_x on, `whole` of them,
// have windows that lie inside the rows. linear: 1 for windows of one pixel without strides or padding.
// scratch: 8 bytes per step.
#define MN_CONV_DSP_MEMBERS                                                                       \
  const uint32_t *weights;                                                                        \
  uint16_t in_h, in_w, in_step, out_h, out_w, out_c, out_step, in_ring, out_ring;                 \
  uint16_t kernel_h, run_bytes, steps, stride_h, stride_w, dilation_h, pad_top, pad_left, first_x, whole; \
  int8_t input_zero_point, output_zero_point, low, high;                                          \
  uint8_t exact, linear
struct mn_conv_s8_dsp {
  MN_CONV_DSP_MEMBERS;
};
void mn_conv_s8_dsp(const struct mn_conv_s8_dsp *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                    int32_t to);

// The same with weights as int16: blocks of four channels as [step][channel], one or two channels as [step][2].
struct mn_conv_s8_wide_dsp {
  MN_CONV_DSP_MEMBERS;
};
void mn_conv_s8_wide_dsp(const struct mn_conv_s8_wide_dsp *p, const int8_t *in, int8_t *out, void *scratch,
                         int32_t from, int32_t to);

// The same with int4 weights: blocks of four channels, the last one filled up, as [step]. A halfword per input is
// 4096 D + 256 (C + 8) + 16 (B + 8) + A + 8 for the channels A to D. With x the inputs, S1 = sum of it times x, S2 of its
// bits 0x0f0f, S3 of its low byte, S4 of its lowest half byte; X = 8 sum x: A = S4 - X, 16 B = S3 - S4 - 16 X,
// 256 C = S2 - S4 - 256 X, and 4096 D = S1 - S2 - S3 + S4 exactly.
struct mn_conv_s4_dsp {
  MN_CONV_DSP_MEMBERS;
};
void mn_conv_s4_dsp(const struct mn_conv_s4_dsp *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                    int32_t to);

// Depthwise convolution 3x3 of at least four channels, one output channel each, stride 1 or 2 both ways, no dilation.
// constants: per channel five words: the taps as bytes w00, w01, w10, w11; w02, w21, w12, w20; w22 above a byte of
// right shift less one; then requantization. They come in fours: the last four channels repeat some when the channels
// are no multiple of four.
// strip: output columns that are computed at a time. scratch: 32 bytes per input column of a strip.
// A strip's pixels, of up to two rows and all channels, are written when the next strip's inputs are still to be read.
#define MN_DEPTHWISE_DSP_MEMBERS                                                      \
  const uint32_t *constants;                                                          \
  uint16_t in_h, in_w, channels, in_step, out_h, out_w, out_step, in_ring, out_ring;  \
  uint16_t stride, pad_top, pad_left, strip;                                          \
  int8_t input_zero_point, output_zero_point, low, high;                              \
  uint8_t exact
struct mn_depthwise_s8_dsp {
  MN_DEPTHWISE_DSP_MEMBERS;
};
void mn_depthwise_s8_dsp(const struct mn_depthwise_s8_dsp *p, const int8_t *in, int8_t *out, void *scratch,
                         int32_t from, int32_t to);

// The same with int4 weights. constants: per four channels a word each of taps plus 8, w00, w01, w10, w11 in the low
// halves of the bytes and w02, w21, w12, w20 in the high ones; the bytes of w22; if exact, those of the shifts; then
// requantization per channel.
struct mn_depthwise_s4_dsp {
  MN_DEPTHWISE_DSP_MEMBERS;
};
void mn_depthwise_s4_dsp(const struct mn_depthwise_s4_dsp *p, const int8_t *in, int8_t *out, void *scratch,
                         int32_t from, int32_t to);

// rows x depth (at least 4) times [outputs][depth]. A depth that is no multiple of four begins with the quad of its
// last four bytes. weights: blocks of eight channels as [quad][2][pair of channels], then pairs as [quad][2]. bias2:
// twice the folded bias. multiplier and shift (right shift less one) advance by requant_step per channel.
#define MN_DENSE_DSP_MEMBERS             \
  const uint32_t *weights;               \
  const int32_t *bias2, *multiplier;     \
  const uint8_t *shift;                  \
  int32_t rows, depth, outputs;          \
  int8_t output_zero_point, low, high;   \
  uint8_t requant_step
struct mn_fully_connected_s8_dsp {
  MN_DENSE_DSP_MEMBERS;
};
void mn_fully_connected_s8_dsp(const struct mn_fully_connected_s8_dsp *p, const int8_t *in, int8_t *out);

// The same with weights as int16: blocks of eight channels as [quad][2][channel], then pairs as [quad][2][2].
struct mn_fully_connected_s8_wide_dsp {
  MN_DENSE_DSP_MEMBERS;
};
void mn_fully_connected_s8_wide_dsp(const struct mn_fully_connected_s8_wide_dsp *p, const int8_t *in, int8_t *out);

// The same with int4 weights: blocks of eight channels as [quad][2][four channels], halfwords as in mn_conv_s4_dsp, then
// pairs as [quad]: bytes 16 * second + first + 8 where their inputs lie.
struct mn_fully_connected_s4_dsp {
  MN_DENSE_DSP_MEMBERS;
};
void mn_fully_connected_s4_dsp(const struct mn_fully_connected_s4_dsp *p, const int8_t *in, int8_t *out);

// The mean of `pixels` (up to 255) pixels of `channels` (a multiple of 4). It has one output row.
struct mn_average_pool_s8_dsp {
  uint16_t pixels, channels, in_ring, out_ring;
  int8_t low, high;
};
void mn_average_pool_s8_dsp(const struct mn_average_pool_s8_dsp *p, const int8_t *in, int8_t *out, int32_t from,
                            int32_t to);

// ADD and SUB of equal shapes, row by row: out = (in0 * factor0 + in1 * factor1 + constant) >> shift, limited to
// low..high. The lowering finds numbers that give TFLite Micro's result for every pair of bytes.
struct mn_add_s8_dsp {
  int32_t factor0, factor1, constant, row_bytes;
  uint16_t ring0, ring1, out_ring;
  int8_t low, high;
  uint8_t shift;
};
void mn_add_s8_dsp(const struct mn_add_s8_dsp *p, const int8_t *in0, const int8_t *in1, int8_t *out, int32_t from,
                   int32_t to);

#ifdef __cplusplus
}
#endif
#endif
