// SPDX-License-Identifier: Apache-2.0
// Kernels that combine, map, move or resize whole tensors. Tensors are dense, NHWC, last axis innermost.
//
// Loops: a kernel that visits two tensors at once runs an innermost loop of `count` elements with one step per tensor,
// inside `depth` outer loops (at most MN_MAX_LOOPS, outermost first). `loops` has three numbers for each outer loop:
// how often it runs, and how far each tensor's offset moves when it goes on (the way back over the loops inside it is
// already subtracted). depth 0: `loops` is not read.
//
// `from` and `to`: the rows to compute, see mn_rows.h.
#ifndef MN_TENSOR_H
#define MN_TENSOR_H

#include <stdint.h>

#define MN_MAX_LOOPS 5

// Two operands of an element-wise kernel, whose loops cover one row. A broadcast operand has steps of 0, and a ring of 1
// where it has one row for all. Downwards, the elements of each innermost loop come last to first.
struct mn_pair {
  uint16_t ring0, ring1, out_ring;
  int32_t row0, row1, row_out;          // values
  int32_t count, step0, step1;
  int32_t depth;
  const int32_t *loops;
};

// out = zero_out + scale_out(scale0((in0 - zero0) * 2^20) + scale1((in1 - zero1) * 2^20)), limited to low..high.
// Each scale is a Q31 mantissa and a right shift. negate: 0 adds, -1 subtracts the second term.
struct mn_add_s8 {
  int32_t zero0, mantissa0, shift0;
  int32_t zero1, mantissa1, shift1;
  int32_t zero_out, mantissa_out, shift_out;
  int32_t low, high;
  int32_t negate;
  struct mn_pair pair;
};
void mn_add_s8(const struct mn_add_s8 *p, const int8_t *in0, const int8_t *in1, int8_t *out, int32_t from, int32_t to);

// out = zero_out + scale((in0 - zero0) * (in1 - zero1)), limited to low..high; the scale as in mn_scale.
struct mn_mul_s8 {
  int32_t zero0, zero1, zero_out;
  int32_t mantissa, shift;
  int32_t low, high;
  struct mn_pair pair;
};
void mn_mul_s8(const struct mn_mul_s8 *p, const int8_t *in0, const int8_t *in1, int8_t *out, int32_t from, int32_t to);

// The larger (maximum = 1) or smaller (0) of two values on one scale.
struct mn_minmax_s8 {
  int32_t maximum;
  struct mn_pair pair;
};
void mn_minmax_s8(const struct mn_minmax_s8 *p, const int8_t *in0, const int8_t *in1, int8_t *out, int32_t from,
                  int32_t to);

// out = table[in] for rows of `count` bytes; the table has 256 entries, indexed by the byte as unsigned. in may be out.
struct mn_lut_s8 {
  uint16_t in_ring, out_ring;
  int32_t count;
  const uint8_t *table;
};
void mn_lut_s8(const struct mn_lut_s8 *p, const void *in, void *out, int32_t from, int32_t to);

// out = zero_point + round(in / scale), ties away from zero, saturated; NaN gives the zero point.
// scale_bits: the float32 scale as its IEEE 754 bits.
struct mn_quantize_f32_s8 {
  uint32_t scale_bits;
  int32_t zero_point;
  int32_t count;
};
void mn_quantize_f32_s8(const struct mn_quantize_f32_s8 *p, const float *in, int8_t *out);

// out = scale * (in - zero_point).
struct mn_dequantize_s8_f32 {
  uint32_t scale_bits;
  int32_t zero_point;
  int32_t count;
};
void mn_dequantize_s8_f32(const struct mn_dequantize_s8_f32 *p, const int8_t *in, float *out);

// Copies bytes between two differently laid out tensors, of values of any size. Offsets and steps in bytes; step_in may be negative.
struct mn_copy_s8 {
  int32_t offset_in, offset_out;
  int32_t count, step_in, step_out;
  int32_t depth;
  const int32_t *loops;
};
void mn_copy_s8(const struct mn_copy_s8 *p, const void *in, void *out);

// out = `row_out` bytes of each row of `row_in`, from `offset` on.
struct mn_columns_s8 {
  uint16_t in_ring, out_ring;
  int32_t row_in, row_out, offset;
};
void mn_columns_s8(const struct mn_columns_s8 *p, const void *in, void *out, int32_t from, int32_t to);

// Each row of `row0` bytes with one of `row1` bytes behind it.
struct mn_beside_s8 {
  uint16_t ring0, ring1, out_ring;
  int32_t row0, row1;
};
void mn_beside_s8(const struct mn_beside_s8 *p, const void *in0, const void *in1, void *out, int32_t from, int32_t to);

// out = value for `count` bytes. The input is not read.
struct mn_fill_s8 {
  int32_t value;
  int32_t count;
};
void mn_fill_s8(const struct mn_fill_s8 *p, void *out);

// out[n][y][x] = in[n][rows[y]][columns[x]], `depth` bytes each.
struct mn_resize_nearest_s8 {
  int32_t batches, in_h, in_w, out_h, out_w, depth;
  const uint16_t *rows, *columns;
};
void mn_resize_nearest_s8(const struct mn_resize_nearest_s8 *p, const void *in, void *out);

// Bilinear interpolation at position max(0, i * step + start) of each axis, in 1/1024 pixel; rounds half away from zero.
struct mn_resize_bilinear_s8 {
  int32_t batches, in_h, in_w, out_h, out_w, depth;
  int32_t step_h, start_h, step_w, start_w;
};
void mn_resize_bilinear_s8(const struct mn_resize_bilinear_s8 *p, const int8_t *in, int8_t *out);

#endif
