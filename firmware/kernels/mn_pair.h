// SPDX-License-Identifier: Apache-2.0
// The rows of two operands and of their output (struct mn_pair).
#ifndef MN_PAIR_H
#define MN_PAIR_H

#include <stdint.h>

#include "mn_loops.h"
#include "mn_rows.h"
#include "mn_tensor.h"

struct mn_pair_row {
  const int8_t *in0, *in1;
  int8_t *out;
};

static inline struct mn_pair_row mn_pair_row(const struct mn_pair *p, const int8_t *in0, const int8_t *in1, int8_t *out,
                                             int32_t row)
{
  const struct mn_pair_row at = {in0 + mn_slot(row, p->ring0) * p->row0, in1 + mn_slot(row, p->ring1) * p->row1,
                                 out + mn_slot(row, p->out_ring) * p->row_out};

  return at;
}

#endif
