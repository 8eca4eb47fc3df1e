// SPDX-License-Identifier: Apache-2.0
#include "mn_nn_s16.h"
#include "mn_s16.h"

#define MN_POOL mn_average_pool_s16
#define MN_POOL_VALUE int16_t
#define MN_POOL_CLAMP mn_clamp_s16
#include "mn_average_pool.h"
