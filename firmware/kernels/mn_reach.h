// SPDX-License-Identifier: Apache-2.0
// Which taps of a transposed convolution reach an output pixel.
#ifndef MN_REACH_H
#define MN_REACH_H

#include <stdint.h>

// Taps of one axis that reach output pixel `at` (padding added): tap `kernel`, kernel + stride, ... reads input pixel
// `input`, input - 1, ...; `count` of them lie on the input.
struct mn_reach {
  int32_t kernel, input, count;
};

static struct mn_reach mn_reach(int32_t at, int32_t stride, int32_t kernel, int32_t size)
{
  struct mn_reach r = {at % stride, at / stride, 0};

  if (r.input >= size) {
    r.kernel += (r.input - size + 1) * stride;
    r.input = size - 1;
  }
  if (r.kernel < kernel) {
    r.count = (kernel - r.kernel + stride - 1) / stride;
    r.count = r.count <= r.input ? r.count : r.input + 1;
  }
  return r;
}

#endif
