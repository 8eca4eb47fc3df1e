// SPDX-License-Identifier: Apache-2.0
// What the model's invoke is in a firmware of micro-benchmarks. Each body runs several times: the first fills caches and
// trains predictors, and the host takes the least.
#include <string.h>

#include "app.h"
#include "calibrate.h"

static void (*body)(uint32_t turns);
static uint32_t body_turns;

static void run_body(uint8_t *arena) {
  (void)arena;
  body(body_turns);
}

void calibrate_run(uint8_t *arena) {
  struct calibrate_job job;
  struct calibrate_ticks found = {0};
  memcpy(&job, arena, sizeof job);
  if (job.bench < calibrate_count && job.turns && counter_counts(job.counter)) {
    found.counts = 1;
    body_turns = job.turns;
    for (uint32_t i = 0; i < CALIBRATE_RUNS; i++) {
      body = calibrate_bodies[job.bench][0];
      found.of_n[i] = counter_ticks_of(job.counter, run_body);
      body = calibrate_bodies[job.bench][1];
      found.of_2n[i] = counter_ticks_of(job.counter, run_body);
    }
  }
  memcpy(arena + sizeof job, &found, sizeof found);
}
