// SPDX-License-Identifier: Apache-2.0
// Looks inside an inference, in builds that are made for it: with MN_TAP every op's outputs, with MN_STEP the timer at
// every step of the schedule (APP_STEPS of them).
#include "app.h"
#include "platform.h"
#include "probe.h"

#ifdef MN_TAP
static bool listing, dumping;
static uint32_t wanted_op, wanted_output;

void mn_tap(uint16_t op, uint16_t output, const void *data, uint32_t bytes) {
  const uint8_t *at = data;
  if (listing) {
    put_text("m-tap-[");
    put_u32(op);
    put_text(",");
    put_u32(output);
    put_text(",");
    put_u32(bytes);
    put_text(",");
    put_hex32(crc32_update(0, at, bytes));
    put_text("]\r\n");
  } else if (dumping && op == wanted_op && output == wanted_output) {
    put_text("m-tap-data-[");
    for (uint32_t i = 0; i < bytes; i++)
      put_hex_byte(at[i]);
    put_text("]\r\n");
  }
}

void probe_taps(void) {
  listing = true;
  if (input_allows(1))
    (void)infer_once();
  listing = false;
}

void probe_tap(uint32_t op, uint32_t output) {
  wanted_op = op;
  wanted_output = output;
  dumping = true;
  if (input_allows(1))
    (void)infer_once();
  dumping = false;
}
#endif

#ifdef MN_STEP
static uint32_t at_step[APP_STEPS + 1];

void mn_step(uint16_t step, uint8_t *arena) {
  (void)arena;
  at_step[step] = timer_ticks();
}

void probe_steps(void) {
  if (!input_allows(1))
    return;
  input_to_arena();
  at_step[APP_STEPS] = clock_ticks_of(app_model->invoke);
  for (uint32_t i = 0; i < APP_STEPS; i++) {
    put_text("m-step-[");
    put_u32(i);
    put_text(",");
    put_u32(at_step[i + 1u] - at_step[i]);
    put_text("]\r\n");
  }
}
#endif
