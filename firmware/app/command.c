// SPDX-License-Identifier: Apache-2.0
// Commands: ASCII words, one space apart, ended by '%'. Every answer ends with the line m-ready. The commands up to
// `help` and their answers are those of MLPerf Tiny's runner; the others are ours.
// A command may be framed, `@NUMBER CRC32 words`: it runs only undamaged, and its answer ends with m-end-[NUMBER,CRC32].
#include <stddef.h>

#include "board.h"
#include "app.h"
#include "platform.h"
#if defined(MN_TAP) || defined(MN_STEP)
#include "probe.h"
#endif

#define LINE_BYTES 96u
#define MAX_WORDS 4u

static bool to_u32(const char *text, uint32_t *value) {
  uint32_t sum = 0;
  const char *at = text;
  for (; *at >= '0' && *at <= '9'; at++) {
    if (sum > (UINT32_MAX - 9u) / 10u)
      return false;
    sum = sum * 10u + (uint32_t)(*at - '0');
  }
  *value = sum;
  return at != text && !*at;
}

static void do_name(const uint32_t *n) {
  (void)n;
  put_text("m-name-dut-[mcunas]\r\n");
}

static void do_profile(const uint32_t *n) {
  (void)n;
  put_text("m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\nm-model-[");
  put_clean(app_model->name);
  put_text("]\r\n");
}

static void do_timestamp(const uint32_t *n) {
  (void)n;
  put_text("m-lap-us-");
  put_u64(clock_us());
  put_end();
}

static void do_load(const uint32_t *n) {
  input_expect(n[0]);
}

static void do_print(const uint32_t *n) {
  (void)n;
  input_print();
}

static void do_infer(const uint32_t *n) {
  infer(n[0], n[1]);
}

static void do_results(const uint32_t *n) {
  (void)n;
  infer_print_results();
}

static void do_out(const uint32_t *n) {
  (void)n;
  infer_print_output();
}

#ifdef APP_DECODES
static void do_boxes(const uint32_t *n) {
  (void)n;
  infer_print_boxes();
}
#endif

static void do_seed(const uint32_t *n) {
  input_seed(n[0]);
}

static void do_raw(const uint32_t *n) {
  (void)n;
  input_receive();
}

static void do_mem(const uint32_t *n) {
  (void)n;
  measure_memory();
}

static void do_bench(const uint32_t *n) {
  (void)n;
  measure_instructions();
}

static void do_board(const uint32_t *n) {
  (void)n;
  board_print();
}

#ifdef MN_TAP
static void do_taps(const uint32_t *n) {
  (void)n;
  probe_taps();
}

static void do_tap(const uint32_t *n) {
  probe_tap(n[0], n[1]);
}
#endif

#ifdef MN_STEP
static void do_steps(const uint32_t *n) {
  (void)n;
  probe_steps();
}
#endif

static void do_help(const uint32_t *n);

static const struct command {
  const char *words;       // the fixed words
  uint8_t least, most;     // numbers that follow
  void (*run)(const uint32_t *numbers);
  const char *help;
} commands[] = {
    {"name", 0, 0, do_name, ""},
    {"profile", 0, 0, do_profile, ""},
    {"timestamp", 0, 0, do_timestamp, ""},
    {"db load", 1, 1, do_load, " N: announce the input, N bytes"},
    {"db print", 0, 0, do_print, ", db HEX: the input's bytes"},
    {"infer", 1, 2, do_infer, " N W: N inferences after W warm-ups"},
    {"results", 0, 0, do_results, ""},
    {"help", 0, 0, do_help, ""},
    {"out", 0, 0, do_out, ": the outputs' bytes"},
#ifdef APP_DECODES
    {"boxes", 0, 0, do_boxes, ": items in the output: left, top, right, bottom, class, score"},
#endif
    {"seed", 1, 1, do_seed, " S: pseudo-random input"},
    {"raw", 0, 0, do_raw, ": the input as bytes follows"},
    {"mem", 0, 0, do_mem, ": arena and stack use"},
    {"bench", 0, 0, do_bench, ": ticks of one inference"},
    {"board", 0, 0, do_board, ": id, clock and memories"},
#ifdef MN_TAP
    {"taps", 0, 0, do_taps, ": CRC of every op's outputs"},
    {"tap", 2, 2, do_tap, " OP OUTPUT: its bytes"},
#endif
#ifdef MN_STEP
    {"steps", 0, 0, do_steps, ": ticks of every step"},
#endif
};

static void do_help(const uint32_t *n) {
  (void)n;
  for (uint32_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    put_text("m-help-[");
    put_text(commands[i].words);
    put_text(commands[i].help);
    put_text("]\r\n");
  }
}

// Numbers behind the fixed words; `text` is at its end or at the space before the first number.
static bool read_numbers(char *text, const struct command *command, uint32_t *numbers) {
  uint32_t count = 0;
  while (*text) {
    char *word = ++text;
    while (*text && *text != ' ')
      text++;
    const char end = *text;
    *text = 0;
    const bool is_number = count < command->most && to_u32(word, &numbers[count]);
    *text = end;
    if (!is_number)
      return false;
    count++;
  }
  return count >= command->least;
}

// Where `line` goes on after `words`, or NULL.
static char *after_words(char *line, const char *words) {
  while (*words)
    if (*line++ != *words++)
      return NULL;
  return *line == 0 || *line == ' ' ? line : NULL;
}

static void answer(char *line) {
  for (uint32_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    char *rest = after_words(line, commands[i].words);
    uint32_t numbers[2] = {0, 0};
    if (rest && read_numbers(rest, &commands[i], numbers)) {
      commands[i].run(numbers);
      return;
    }
  }
  put_text("e-[Unknown command: ");
  put_clean(line);
  put_text("]\r\n");
}

static bool hex32(const char *text, uint32_t *value) {
  *value = 0;
  for (uint32_t i = 0; i < 8u; i++) {
    const uint32_t c = (uint8_t)text[i], digit = c - '0' < 10u ? c - '0' : c - 'a' < 6u ? c - 'a' + 10u : 16u;
    if (digit > 15u)
      return false;
    *value = *value << 4 | digit;
  }
  return text[8] == ' ';
}

// line: behind the '@'.
static void answer_framed(char *line) {
  uint32_t number = 0, sum, length = 0;
  char *words = line;
  while (*words && *words != ' ')
    words++;
  const bool has_number = *words == ' ';
  *words = 0;
  if (!has_number || !to_u32(line, &number) || !hex32(words + 1, &sum)) {
    put_error("Damaged command");
    return;
  }
  words += 10;
  while (words[length])
    length++;
  answer_start();
  if (crc32_update(0, (const uint8_t *)words, length) == sum)
    answer(words);
  else
    put_error("Damaged command");
  const uint32_t printed = answer_crc32();
  put_text("m-end-[");
  put_u32(number);
  put_text(",");
  put_hex32(printed);
  put_text("]\r\n");
}

void command_loop(void) {
  static char line[LINE_BYTES];
  for (;;) {
    uint32_t length = 0;
    bool is_data = false, is_overlong = false;
    for (char c = uart_getc(); c != '%'; c = uart_getc()) {
      if (is_data) {
        input_line_digit(c);
      } else if (length == 3u && line[0] == 'd' && line[1] == 'b' && line[2] == ' ' && c != 'l' && c != 'p') {
        is_data = true;  // hex digits go straight into the input
        input_line_begin();
        input_line_digit(c);
      } else if (length == LINE_BYTES - 1u) {
        is_overlong = true;
      } else if (length || (c != '\r' && c != '\n')) {
        line[length++] = c;
      }
    }
    line[length] = 0;
    if (is_data)
      input_line_end();
    else if (is_overlong)
      put_error("Command too long");
    else if (line[0] == '@')
      answer_framed(line + 1);
    else
      answer(line);
    put_text("m-ready\r\n");
  }
}
