// SPDX-License-Identifier: Apache-2.0
#include "mn_dot.h"
#include "mn_math.h"
#include "mn_nn.h"

void mn_fully_connected_s8(const struct mn_fully_connected_s8 *p, const int8_t *in, int8_t *out)
{
  for (uint32_t row = 0; row < p->rows; row++, in += p->depth) {
    const int8_t *w = p->weights;
    uint32_t lanes;

    for (uint32_t c = 0; c < p->outputs; c += lanes, w += lanes * p->depth) {
      uint32_t acc[MN_LANES];

      lanes = p->outputs - c >= MN_LANES ? MN_LANES : 1;
      for (uint32_t k = 0; k < lanes; k++) {
        acc[k] = (uint32_t)p->bias[c + k];
      }
      mn_dot(in, w, p->depth, p->depth, lanes, acc);
      for (uint32_t k = 0; k < lanes; k++) {
        const uint32_t q = (c + k) * p->requant_step;

        *out++ = mn_requantize_s8(acc[k], p->multiplier[q], p->shift[q], p->output_zero_point, p->low, p->high);
      }
    }
  }
}
