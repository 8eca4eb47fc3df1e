// SPDX-License-Identifier: Apache-2.0
// The board that the commands are fuzzed on: the host.
#define BOARD_TIMER_HZ 1000000u
#define BOARD_ARENAS 1
#define BOARD_RAM {{0x20000000u, 0x1000u}}
