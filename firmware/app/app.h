// SPDX-License-Identifier: Apache-2.0
// The program around a model: MLPerf Tiny's command protocol, and our own measuring commands in the same framing.
#ifndef MCUNAS_APP_H
#define MCUNAS_APP_H

#include <stdbool.h>
#include <stdint.h>

#include "mn_model.h"
#ifdef APP_DECODES
#include "mn_boxes.h"
#endif

// image.c, generated with the model
extern const struct mn_model *const app_model;
extern uint8_t app_arena[];
extern uint8_t *const app_further[];         // begin and end of the arena's parts in other memories, then 0
#ifdef APP_DECODES
extern const struct mn_boxes app_boxes;      // how the output is decoded
#endif

// text.c: printing
void answer_start(void);                        // of an answer: its CRC starts anew
uint32_t answer_crc32(void);                 // of what was printed since
void put_char(char c);
void put_text(const char *text);
void put_clean(const char *text);            // what the host sent, made safe to echo
void put_u32(uint32_t value);
void put_u64(uint64_t value);
void put_hex_byte(uint8_t byte);
void put_hex32(uint32_t value);
void put_scaled(int32_t value, float scale);  // value * scale, three decimals
void put_end(void);                          // CR LF
void put_error(const char *text);            // e-[text]

// crc32.c: the CRC of zlib and Ethernet; start with 0
uint32_t crc32_update(uint32_t crc, const uint8_t *bytes, uint32_t count);

// clock.c
void clock_init(void);
uint64_t clock_us(void);                               // since clock_init; call it at least once per timer wrap
uint32_t clock_ticks_of(void (*invoke)(uint8_t *));    // duration of one call on the arena, in timer ticks

// main.c
void app_setup(void);                        // before anything else is asked: nothing, unless an engine needs it

// command.c: read and answer commands for ever
void command_loop(void);

// input.c: the input tensors, seen as one run of bytes
uint32_t input_bytes(void);
uint8_t *input_at(uint32_t index);
bool input_is_kept(void);                    // a copy beside the arena allows several inferences per load
uint32_t load_bytes(void);                   // of a db load: input_bytes, unless the data are converted here
uint8_t *load_at(uint32_t index);            // where its bytes go
void load_done(void);                        // when they are all there
void input_expect(uint32_t bytes);           // db load
void input_line_begin(void);                 // db <hex>, digit by digit: a line may be longer than any buffer
void input_line_digit(char c);
void input_line_end(void);
void input_print(void);
void input_fill(uint32_t seed);              // with pseudo-random bytes
void input_seed(uint32_t seed);              // the same, answered
void input_receive(void);                    // raw bytes from the host: half of what hex digits take
bool input_allows(uint32_t inferences);      // prints why not
void input_to_arena(void);                   // before every inference, which may overwrite its input

// guard.c: the stack's and the arena's
void guard_paint(uint8_t pattern);
bool guard_check(uint8_t pattern);           // prints what was overrun and paints anew

// infer.c
#define GUARD_PATTERN 0x3Cu
bool infer_once(void);                       // false: a guard was overrun
void infer(uint32_t inferences, uint32_t warmups);
void infer_forget_results(void);             // the input is being replaced
void infer_print_results(void);
void put_results(void);                      // the numbers of m-results
void infer_print_output(void);
#ifdef APP_DECODES
void infer_print_boxes(void);
#endif

// board.c
void board_print(void);                      // the chip's id, clock and memories

// measure.c
uint32_t stack_used(void);                   // bytes, at most so far
void measure_memory(void);
void measure_instructions(void);

#endif
