// SPDX-License-Identifier: Apache-2.0
// The few instructions of the DSP extension (Armv7E-M, Armv8-M) that the kernels are built on, and the same arithmetic
// in C for the host, so that sanitizers run the very source that goes to the board.
//
// A word holds two int16 lanes, low and high. Sums wrap modulo 2^32. The statements are not volatile and claim nothing
// of the Q flag, which no kernel reads: the compiler may move them.
#ifndef MN_DSP_H
#define MN_DSP_H

#if defined(__ARM_FEATURE_DSP) || !defined(__arm__)
#define MN_HAS_DSP 1
#else
#define MN_HAS_DSP 0
#endif

#if MN_HAS_DSP
#include <stdint.h>
#include <string.h>

#include "mn_clamp.h"

static inline uint32_t mn_load_word(const void *from)       // any alignment
{
  uint32_t word;

  memcpy(&word, from, sizeof word);
  return word;
}

static inline void mn_store_word(void *to, uint32_t word)
{
  memcpy(to, &word, sizeof word);
}

// One value in both lanes.
static inline uint32_t mn_both(int32_t x)
{
  return (uint32_t)(uint16_t)x * 0x10001u;
}

#define MN_LINE_SHIFT 10
#define MN_LINE_POINT 12

// Functions in assembly on the core, in C with internal linkage on the host.
#if defined(__arm__)
#define MN_DSP_ASSEMBLY extern
#else
#define MN_DSP_ASSEMBLY static
#endif

// A name in the text of assembly.
#define MN_DSP_TEXT_OF(name) #name
#define MN_DSP_TEXT(name) MN_DSP_TEXT_OF(name)

#if defined(__arm__)

#define MN_DSP_UNARY(name, instruction)                          \
  static inline uint32_t name(uint32_t x)                        \
  {                                                              \
    uint32_t result;                                             \
                                                                 \
    __asm__(instruction : "=r"(result) : "r"(x));                \
    return result;                                               \
  }
#define MN_DSP_BINARY(name, instruction)                         \
  static inline uint32_t name(uint32_t x, uint32_t y)            \
  {                                                              \
    uint32_t result;                                             \
                                                                 \
    __asm__(instruction : "=r"(result) : "r"(x), "r"(y));        \
    return result;                                               \
  }
#define MN_DSP_TERNARY(name, instruction)                        \
  static inline uint32_t name(uint32_t x, uint32_t y, uint32_t z) \
  {                                                              \
    uint32_t result;                                             \
                                                                 \
    __asm__(instruction : "=r"(result) : "r"(x), "r"(y), "r"(z)); \
    return result;                                               \
  }

MN_DSP_UNARY(mn_widen_even, "sxtb16 %0, %1")                     // bytes 0 and 2
MN_DSP_UNARY(mn_widen_odd, "sxtb16 %0, %1, ror #8")              // bytes 1 and 3
MN_DSP_BINARY(mn_widen_even_add, "sxtab16 %0, %2, %1")           // bytes 0 and 2 of x added to the lanes of y
MN_DSP_BINARY(mn_widen_odd_add, "sxtab16 %0, %2, %1, ror #8")
MN_DSP_UNARY(mn_saturate_byte, "ssat %0, #8, %1")                // limited to int8
MN_DSP_UNARY(mn_saturate_half, "ssat %0, #8, %1, asr #1")        // (x >> 1) limited to int8
MN_DSP_BINARY(mn_low_halves, "pkhbt %0, %1, %2, lsl #16")        // (low of x, low of y)
MN_DSP_BINARY(mn_high_halves, "pkhtb %0, %2, %1, asr #16")       // (high of x, high of y)
MN_DSP_TERNARY(mn_smlad, "smlad %0, %1, %2, %3")                 // z + low x low + high x high
MN_DSP_TERNARY(mn_smmlar, "smmlar %0, %1, %2, %3")               // z + round(x * y / 2^32), ties up
MN_DSP_TERNARY(mn_mla, "mla %0, %1, %2, %3")                     // z + x * y: compilers part it into two
MN_DSP_TERNARY(mn_smmla, "smmla %0, %1, %2, %3")                 // z + x * y / 2^32, rounded down
MN_DSP_BINARY(mn_ssub8, "ssub8 %0, %1, %2")                      // byte by byte x - y
MN_DSP_TERNARY(mn_usada8, "usada8 %0, %1, %2, %3")               // z + sum of |byte of x - byte of y|, unsigned bytes
MN_DSP_UNARY(mn_saturate_line, "ssat %0, #8, %1, asr #12")       // (x >> MN_LINE_POINT) limited to int8

#else

static inline int32_t mn_lane(uint32_t x, int32_t lane)
{
  return (int16_t)(x >> (16 * lane));
}

static inline uint32_t mn_lanes(int32_t low, int32_t high)
{
  return (uint32_t)(uint16_t)low | (uint32_t)(uint16_t)high << 16;
}

static inline uint32_t mn_widen_even(uint32_t x) { return mn_lanes((int8_t)x, (int8_t)(x >> 16)); }
static inline uint32_t mn_widen_odd(uint32_t x) { return mn_lanes((int8_t)(x >> 8), (int8_t)(x >> 24)); }
static inline uint32_t mn_widen_even_add(uint32_t x, uint32_t y)
{
  return mn_lanes((int8_t)x + mn_lane(y, 0), (int8_t)(x >> 16) + mn_lane(y, 1));
}
static inline uint32_t mn_widen_odd_add(uint32_t x, uint32_t y) { return mn_widen_even_add(x >> 8, y); }
static inline uint32_t mn_low_halves(uint32_t x, uint32_t y) { return (x & 0xffffu) | y << 16; }
static inline uint32_t mn_high_halves(uint32_t x, uint32_t y) { return x >> 16 | (y & 0xffff0000u); }

static inline uint32_t mn_saturate(int32_t x)
{
  return (uint32_t)(x < INT8_MIN ? INT8_MIN : x > INT8_MAX ? INT8_MAX : x);
}

static inline uint32_t mn_saturate_byte(uint32_t x) { return mn_saturate((int32_t)x); }
static inline uint32_t mn_saturate_half(uint32_t x) { return mn_saturate((int32_t)x >> 1); }
static inline uint32_t mn_saturate_line(uint32_t x) { return mn_saturate((int32_t)x >> MN_LINE_POINT); }

static inline uint32_t mn_smlad(uint32_t x, uint32_t y, uint32_t z)
{
  return z + (uint32_t)(mn_lane(x, 0) * mn_lane(y, 0)) + (uint32_t)(mn_lane(x, 1) * mn_lane(y, 1));
}

static inline uint32_t mn_smmlar(uint32_t x, uint32_t y, uint32_t z)
{
  return z + (uint32_t)(((int64_t)(int32_t)x * (int32_t)y + (INT64_C(1) << 31)) >> 32);
}

static inline uint32_t mn_ssub8(uint32_t x, uint32_t y)
{
  return ((x | 0x80808080u) - (y & 0x7f7f7f7fu)) ^ ((x ^ ~y) & 0x80808080u);
}

static inline uint32_t mn_usada8(uint32_t x, uint32_t y, uint32_t z)
{
  for (; x != y; x >>= 8, y >>= 8) {
    const int32_t difference = (int32_t)(x & 0xffu) - (int32_t)(y & 0xffu);

    z += (uint32_t)(difference < 0 ? -difference : difference);
  }
  return z;
}

static inline uint32_t mn_mla(uint32_t x, uint32_t y, uint32_t z) { return z + x * y; }
static inline uint32_t mn_smmla(uint32_t x, uint32_t y, uint32_t z)
{
  return z + (uint32_t)(((int64_t)(int32_t)x * (int32_t)y) >> 32);
}

#endif

// The shortest way, for outputs that are never below the zero point: on that side TFLite Micro's two roundings lie on a
// line, and the lowering finds one that passes between the same accumulators. line: the accumulator shifted left by
// MN_LINE_SHIFT, plus an offset. rounding: the output zero point and a half, MN_LINE_POINT bits behind the point.
static inline int8_t mn_requantize_line(uint32_t line, uint32_t slope, uint32_t rounding)
{
  return (int8_t)mn_saturate_line(mn_smmla(line, slope, rounding));
}

// The short way from an accumulator to its output byte; the lowering proves that it gives TFLite Micro's rounding.
// acc2: twice the accumulator, |acc2| < 2^31. shift: the right shift less one, in the low byte (the rest is ignored).
// zero2: twice the output zero point plus one: shifted left it is the zero point and the half that rounds. The added
// sign makes ties below zero round away from it.
static inline int8_t mn_requantize_short(uint32_t acc2, uint32_t multiplier, uint32_t shift, uint32_t zero2)
{
  const uint32_t scaled = mn_smmlar(acc2, multiplier, zero2 << (shift & 31u)) + (uint32_t)((int32_t)acc2 >> 31);

  return (int8_t)mn_saturate_half((uint32_t)((int32_t)scaled >> (shift & 31u)));
}

#endif
#endif
