// SPDX-License-Identifier: Apache-2.0
// Inference and its results.
#include <string.h>

#include "board.h"
#include "app.h"
#include "platform.h"

static bool have_results;

void infer_forget_results(void) {
  have_results = false;
}

bool infer_once(void) {
  input_to_arena();
  app_model->invoke(app_arena);
  have_results = guard_check(GUARD_PATTERN);
  return have_results;
}

static void put_lap(void) {
  put_text("m-lap-us-");
  put_u64(clock_us());
  put_end();
}

void infer(uint32_t inferences, uint32_t warmups) {
  if (inferences == 0u) {
    put_error("infer takes a count of 1 or more");
    return;
  }
  // Saturated, for the sum may wrap.
  if (!input_allows(warmups > UINT32_MAX - inferences ? UINT32_MAX : inferences + warmups))
    return;
  put_text("m-warmup-start-");
  put_u32(warmups);
  put_end();
  for (uint32_t i = 0; i < warmups; i++)
    if (!infer_once())
      return;
  put_text("m-warmup-done\r\nm-infer-start-");
  put_u32(inferences);
  put_end();
  put_lap();
  for (uint32_t i = 0; i < inferences; i++) {
    if (!infer_once())
      return;
    (void)clock_us();
  }
  put_lap();
  put_text("m-infer-done\r\n");
  infer_print_results();
}

static void put_value(const struct mn_tensor *tensor, uint32_t at) {
  const uint8_t *bytes = app_arena + tensor->offset;
  if (tensor->dtype == MN_FLOAT32) {
    float value;
    memcpy(&value, bytes + at, sizeof value);
    put_scaled(1, value);
  } else {
    int32_t q = tensor->dtype == MN_INT8 ? (int8_t)bytes[at] : bytes[at];
    if (tensor->dtype == MN_INT16)
      q = (int16_t)(bytes[at] | bytes[at + 1] << 8);
    put_scaled(q - tensor->zero_point, tensor->scale);
  }
}

__attribute__((weak)) void put_results(void) {
  for (uint32_t i = 0; i < app_model->outputs; i++) {
    const struct mn_tensor *tensor = &app_model->output[i];
    const uint32_t item = tensor->dtype == MN_FLOAT32 ? 4u : tensor->dtype == MN_INT16 ? 2u : 1u;
    for (uint32_t at = 0; at < tensor->bytes; at += item) {
      if (i || at)
        put_char(',');
      put_value(tensor, at);
    }
  }
}

void infer_print_results(void) {
  if (!have_results) {
    put_error("No results: send infer first");
    return;
  }
  put_text("m-results-[");
  put_results();
  put_text("]\r\n");
}

void infer_print_output(void) {
  if (!have_results) {
    put_error("No results: send infer first");
    return;
  }
  uint32_t crc = 0;
  put_text("m-out-[");
  for (uint32_t i = 0; i < app_model->outputs; i++) {
    const struct mn_tensor *tensor = &app_model->output[i];
    const uint8_t *bytes = app_arena + tensor->offset;
    crc = crc32_update(crc, bytes, tensor->bytes);
    for (uint32_t at = 0; at < tensor->bytes; at++)
      put_hex_byte(bytes[at]);
  }
  put_text("]\r\nm-out-crc32-[");
  put_hex32(crc);
  put_text("]\r\n");
}

#ifdef APP_DECODES
static void put_i32(int32_t value, char end) {
  if (value < 0)
    put_char('-');
  put_u32((uint32_t)(value < 0 ? -value : value));
  put_char(end);
}

void infer_print_boxes(void) {
  if (!have_results) {
    put_error("No results: send infer first");
    return;
  }
  struct mn_box found[MN_BOXES_CAPACITY];
  const uint32_t count = mn_boxes_s8(&app_boxes, (const int8_t *)(app_arena + app_model->output[0].offset), found);
  put_text("m-boxes-[");
  for (uint32_t i = 0; i < count; i++) {
    put_i32(found[i].left, ',');
    put_i32(found[i].top, ',');
    put_i32(found[i].right, ',');
    put_i32(found[i].bottom, ',');
    put_i32(found[i].kind, ',');
    put_i32(found[i].score, ';');
  }
  put_text("]\r\n");
}
#endif
