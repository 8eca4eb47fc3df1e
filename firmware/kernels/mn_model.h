// SPDX-License-Identifier: Apache-2.0
// What a compiled model looks like to the program that runs it. model.c defines one `struct mn_model`.
//
// The caller owns the arena (arena_bytes, aligned to MN_ARENA_ALIGN). Write the inputs at arena + input[i].offset, call
// invoke, read the outputs at arena + output[i].offset. invoke may overwrite the inputs; it keeps no state.
// A model whose arena is spread over several memories declares the other parts in model.h, as mn_<id>_arena_<n>: the
// caller defines these arrays, aligned like the arena, in the memories that the manifest names.
#ifndef MN_MODEL_H
#define MN_MODEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MN_ARENA_ALIGN 16
#define MN_MAX_RANK 6

enum mn_dtype { MN_INT8 = 0, MN_UINT8 = 1, MN_FLOAT32 = 2, MN_INT16 = 3 };

struct mn_tensor {
  const char *name;
  uint32_t offset;      // bytes into the arena
  uint32_t bytes;
  uint8_t dtype;        // enum mn_dtype
  uint8_t rank;
  uint16_t dims[MN_MAX_RANK];
  float scale;          // real = scale * (q - zero_point); 1 and 0 for float32
  int32_t zero_point;
};

struct mn_model {
  const char *name;
  uint32_t arena_bytes;
  uint16_t inputs, outputs;
  const struct mn_tensor *input, *output;
  void (*invoke)(uint8_t *arena);
};

#ifdef MN_TAP
// Debug builds: called after every op of the network with each of its outputs.
void mn_tap(uint16_t op_index, uint16_t output_index, const void *data, uint32_t bytes);
#endif

#ifdef MN_STEP
// Tests of the memory plan: called before every step of the schedule.
void mn_step(uint16_t step, uint8_t *arena);
#endif

#ifdef __cplusplus
}
#endif
#endif
