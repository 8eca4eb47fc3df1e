// SPDX-License-Identifier: Apache-2.0
#include "mn_math.h"
#include "mn_nn.h"

#define MN_POOL mn_max_pool_s8
#define MN_POOL_VALUE int8_t
#define MN_POOL_CLAMP mn_clamp_s8
#define MN_POOL_LEAST INT8_MIN
#include "mn_max_pool.h"
