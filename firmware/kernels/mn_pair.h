// SPDX-License-Identifier: Apache-2.0
// Walking the rows of two operands and one output (struct mn_pair).
#ifndef MN_PAIR_H
#define MN_PAIR_H

#include <stdint.h>

#include "mn_loops.h"
#include "mn_rows.h"
#include "mn_tensor.h"

struct mn_pair_row {
  const int8_t *in0, *in1;           // the row of each operand
  int8_t *out;                       // next byte to write
  int32_t offset0, offset1;          // of this run in the operands' rows
  int32_t index[MN_MAX_LOOPS];
};

static inline struct mn_pair_row mn_pair_row(const struct mn_pair *p, const int8_t *in0, const int8_t *in1, int8_t *out,
                                             int32_t row)
{
  const struct mn_pair_row at = {in0 + mn_slot(row, p->ring0) * p->row0, in1 + mn_slot(row, p->ring1) * p->row1,
                                 out + mn_slot(row, p->out_ring) * p->row_out, 0, 0, {0}};

  return at;
}

// Goes to the next run of `count` elements; 0 when the row is done.
static inline int mn_pair_next(const struct mn_pair *p, struct mn_pair_row *at)
{
  return mn_next(p->loops, p->depth, at->index, &at->offset0, &at->offset1);
}

#endif
