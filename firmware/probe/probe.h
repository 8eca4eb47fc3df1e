// SPDX-License-Identifier: Apache-2.0
// Commands of builds that look inside an inference.
#ifndef MCUNAS_PROBE_H
#define MCUNAS_PROBE_H

#include <stdint.h>

void probe_taps(void);                             // a line per output of every op: its CRC
void probe_tap(uint32_t op, uint32_t output);      // one output's bytes
void probe_steps(void);                            // a line per step of the schedule: timer ticks

#endif
