// SPDX-License-Identifier: Apache-2.0
// Inputs and weights of an inner product, as runs of values.
#ifndef MN_RUNS_H
#define MN_RUNS_H

#include <stdint.h>

#include "mn_inline.h"

// `count` runs of `length` values each; run i starts at x + i * x_step and at w + i * w_step.
struct mn_runs {
  int32_t count, length, x_step, w_step;
};

// gcc would give each base an index of its own, more than a core has registers for.
#if defined(__GNUC__) && !defined(__clang__)
#define MN_ONE_INDEX __attribute__((optimize("no-ivopts")))
#else
#define MN_ONE_INDEX
#endif

#endif
