// SPDX-License-Identifier: Apache-2.0
// Average of all pixels, four channels at a time: sums of up to 255 bytes fit in halfwords.
#include "mn_dsp.h"
#include "mn_math.h"
#include "mn_nn_dsp.h"

#if MN_HAS_DSP

static int8_t mean(const struct mn_average_pool_s8_dsp *p, uint32_t sums, int32_t shift)
{
  const int32_t sum = (int16_t)(sums >> shift), half = p->pixels / 2;

  // NOLINTNEXTLINE(clang-analyzer-core.DivideZero): a tensor has pixels
  return mn_clamp_s8((sum > 0 ? sum + half : sum - half) / p->pixels, p->low, p->high);
}

void mn_average_pool_s8_dsp(const struct mn_average_pool_s8_dsp *p, const int8_t *in, int8_t *out, int32_t from,
                            int32_t to)
{
  if (from == to) {
    return;
  }
  for (int32_t c = 0; c < p->channels; c += 4, in += 4, out += 4) {
    uint32_t even = 0, odd = 0;
    const int8_t *x = in;

    for (int32_t i = p->pixels; i > 0; i--, x += p->channels) {
      const uint32_t bytes = mn_load_word(x);

      even = mn_widen_even_add(bytes, even);
      odd = mn_widen_odd_add(bytes, odd);
    }
    out[0] = mean(p, even, 0);
    out[1] = mean(p, odd, 0);
    out[2] = mean(p, even, 16);
    out[3] = mean(p, odd, 16);
  }
}

#endif
