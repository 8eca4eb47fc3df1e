// SPDX-License-Identifier: Apache-2.0
// Every kernel that generated code may call.
#ifndef MN_KERNELS_H
#define MN_KERNELS_H

#include "mn_nn.h"
#include "mn_nn_dsp.h"
#include "mn_nn_mve.h"
#include "mn_nn_scalar.h"
#include "mn_nn_s16.h"
#include "mn_tensor.h"

#endif
