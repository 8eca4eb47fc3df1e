// SPDX-License-Identifier: Apache-2.0
// ADD and SUB of equal shapes as one linear form, four elements at a time.
#include "mn_mve.h"

#if MN_HAS_MVE
#include "mn_nn_mve.h"
#include "mn_rows.h"

static inline void add_row(const struct mn_add_s8_mve *p, const int8_t *a, const int8_t *b, int8_t *out)
{
#if defined(__arm__)
  const int32_t low = p->low, high = p->high;       // registers in full

  __asm__ volatile("vdup.32 q5, %4\n"
                   "vdup.32 q6, %8\n"
                   "vdup.32 q7, %9\n"
                   "dlstp.32 lr, %3\n"
                   "1: vldrb.s32 q0, [%0], #4\n"
                   "vldrb.s32 q1, [%1], #4\n"
                   "vmlas.s32 q0, q5, %6\n"
                   "vmla.s32 q0, q1, %5\n"
                   "vshl.s32 q0, %7\n"
                   "vmax.s32 q0, q0, q6\n"
                   "vmin.s32 q0, q0, q7\n"
                   "vstrb.32 q0, [%2], #4\n"
                   "letp lr, 1b"
                   : "+l"(a), "+l"(b), "+l"(out)
                   : "r"(p->count), "r"(p->factor0), "r"(p->factor1), "r"(p->constant), "r"(-p->shift), "r"(low), "r"(high)
                   : "lr", "d0", "d1", "d2", "d3", "d10", "d11", "d12", "d13", "d14", "d15", "memory");
#else
  for (int32_t i = 0; i < p->count; i++) {
    const uint32_t sum = (uint32_t)a[i] * (uint32_t)p->factor0 + (uint32_t)b[i] * (uint32_t)p->factor1;

    out[i] = mn_clamp_s8((int32_t)(sum + (uint32_t)p->constant) >> p->shift, p->low, p->high);
  }
#endif
}

void mn_add_s8_mve(const struct mn_add_s8_mve *p, const int8_t *in0, const int8_t *in1, int8_t *out, int32_t from,
                   int32_t to)
{
  const struct mn_span rows = mn_span(from, to);

  for (int32_t y = rows.first; y != rows.end; y += rows.step) {
    add_row(p, in0 + mn_slot(y, p->ring0) * p->count, in1 + mn_slot(y, p->ring1) * p->count,
            out + mn_slot(y, p->out_ring) * p->count);
  }
}

#endif
