// SPDX-License-Identifier: Apache-2.0
// What MLPerf Tiny's runner sends for each benchmark, and what it wants back. APP_MLPERF: 0, the bytes are the model's
// int8 input (kws01), and results are probabilities; 1, they are pixels 0 to 255 (ic01, vww01); 2, they are float32 and the
// result is one number, the mean squared error of the reconstruction (ad01).
#include <string.h>

#include "app.h"

#if APP_MLPERF == 1
void load_done(void) {
  for (uint32_t i = 0; i < input_bytes(); i++)
    *input_at(i) ^= 0x80u;  // less 128
}
#endif

#if APP_MLPERF == 2
static float window[APP_WINDOW];

uint32_t load_bytes(void) {
  return sizeof window;
}

uint8_t *load_at(uint32_t index) {
  return (uint8_t *)window + index;
}

void load_done(void) {
  const struct mn_tensor *tensor = &app_model->input[0];
  const float steps = 1.0f / tensor->scale;
  for (uint32_t i = 0; i < APP_WINDOW; i++) {
    const float q = window[i] * steps + (float)tensor->zero_point;
    const float nearest = q < 0.0f ? q - 0.5f : q + 0.5f;
    const int32_t value = nearest <= -128.0f ? -128 : nearest >= 127.0f ? 127 : (int32_t)nearest;
    *input_at(i) = (uint8_t)value;
  }
}

void put_results(void) {
  const struct mn_tensor *tensor = &app_model->output[0];
  const uint8_t *bytes = app_arena + tensor->offset;
  float sum = 0.0f;
  for (uint32_t i = 0; i < APP_WINDOW; i++) {
    const float error = window[i] - (float)((int8_t)bytes[i] - tensor->zero_point) * tensor->scale;
    sum += error * error;
  }
  put_scaled(1, sum / (float)APP_WINDOW);
}
#endif
