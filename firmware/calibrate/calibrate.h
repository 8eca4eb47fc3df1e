// SPDX-License-Identifier: Apache-2.0
// Micro-benchmarks in the place of a model: an inference runs one of them and leaves what it counted in the arena.
#ifndef MCUNAS_CALIBRATE_H
#define MCUNAS_CALIBRATE_H

#include <stdbool.h>
#include <stdint.h>

enum counter { COUNTER_DWT, COUNTER_SYSTICK, COUNTER_TIMER, COUNTERS };

#define CALIBRATE_RUNS 3u

struct calibrate_job {  // the input
  uint32_t bench, turns, counter;
};

struct calibrate_ticks {  // the output
  uint32_t counts;        // 0: this counter stands still, or is not there
  uint32_t of_n[CALIBRATE_RUNS], of_2n[CALIBRATE_RUNS];
};

// model.c, generated
extern void (*const calibrate_bodies[][2])(uint32_t turns);  // loops over n and over 2n copies of what is measured
extern const uint32_t calibrate_count;

// run.c
void calibrate_run(uint8_t *arena);

// counter.c
bool counter_counts(uint32_t counter);  // switched on, and seen to move
uint32_t counter_ticks_of(uint32_t counter, void (*invoke)(uint8_t *));

#endif
