// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "mn_tensor.h"

void mn_fill_s8(const struct mn_fill_s8 *p, void *out)
{
  memset(out, (int)p->value, (uint32_t)p->count);
}
