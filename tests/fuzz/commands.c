// SPDX-License-Identifier: Apache-2.0
// libFuzzer over the firmware's application: whatever comes over the serial line, it stays within its memory, prints text
// only, and comes to an end. The memory that the linker script lays out on a board lies between poisoned bytes here.
#define _GNU_SOURCE
#include <sanitizer/asan_interface.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "app.h"
#include "board.h"
#include "platform.h"
#include "probe.h"

#define INFERENCES 200u  // of one run; more take long and tell nothing
#define ARENA_BYTES 256u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *count, char ***arguments);

__asm__(".bss\n.balign 16\n"
        ".globl fuzz_stack_below, _stack_bottom, _stack_top\n"
        "fuzz_stack_below: .space 64\n_stack_bottom: .space 128\n_stack_top: .space 64\n"
        ".globl _guard_start, _guard_end, _spare_start, _spare_end\n"
        "_guard_start: .space 64\n_guard_end: .space 64\n_spare_start: .space 64\n_spare_end: .space 64\n"
        ".globl _image_start, _image_end\n_image_start: .space 16\n_image_end: .space 16\n.text\n");
extern uint8_t fuzz_stack_below[];


struct chip chip = {.core_hz = 25000000u, .uart_hz = 25000000u};
uint8_t app_arena[ARENA_BYTES] __attribute__((aligned(16)));
const struct mn_boxes app_boxes = {.rows = 2, .columns = 2, .classes = 2, .stride_px = 8, .height = 16, .width = 16,
                                   .zero_point = -100, .threshold = -90, .multiplier = 5000};

static jmp_buf over;
static const uint8_t *next, *end;
static uint32_t inferences, ticks;

static void invoke(uint8_t *arena) {
  if (++inferences > INFERENCES)
    longjmp(over, 1);
  for (uint32_t i = 0; i < 32u; i++)
    arena[128u + i] = (uint8_t)(arena[i] * 7u + arena[i + 32u]);
  mn_tap(0, 0, arena + 128, 24);
  mn_tap(0, 1, arena + 152, 8);
}

static const struct mn_tensor one[] = {{"in", 0, 32, MN_INT8, 2, {1, 32}, 0.5f, 3}};
static const struct mn_tensor two[] = {{"a", 0, 16, MN_INT8, 2, {1, 16}, 0.5f, 3}, {"b", 32, 16, MN_FLOAT32, 2, {1, 4}, 1.0f, 0}};
static const struct mn_tensor large[] = {{"in", 0, 96, MN_UINT8, 2, {1, 96}, 0.5f, 3}};  // more than is spare
static const struct mn_tensor out[] = {{"boxes", 128, 24, MN_INT8, 4, {1, 2, 2, 6}, 1e30f, 0},
                                       {"floats", 152, 8, MN_FLOAT32, 2, {1, 2}, 1.0f, 0}};
static struct mn_model model;
const struct mn_model *const app_model = &model;

static const struct mn_model models[] = {{"one", ARENA_BYTES, 1, 2, one, out, invoke},
                                         {"two]\x01", ARENA_BYTES, 2, 2, two, out, invoke},
                                         {"large", ARENA_BYTES, 1, 2, large, out, invoke}};

void uart_putc(char c) {
  if ((c < ' ' || c > '~') && c != '\r' && c != '\n')
    abort();
}

char uart_getc(void) {
  if (next == end)
    longjmp(over, 1);
  return (char)*next++;
}

void timer_start(void) {
  ticks = 0;
}

uint32_t timer_ticks(void) {
  return ticks += 977u;
}

static void poison(const volatile void *at, size_t bytes) {
  ASAN_POISON_MEMORY_REGION(at, bytes);
}

int LLVMFuzzerInitialize(int *count, char ***arguments) {
  (void)count;
  (void)arguments;
  if (mmap((void *)0x20000000, 0x1000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
      MAP_FAILED)
    abort();
  poison(fuzz_stack_below, 64);
  poison(_stack_top, 64);
  poison(_guard_end, 64);
  poison(_spare_end, 64);
  clock_init();
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0)
    return 0;
  static uint8_t begin[] = "seed 0%";  // whatever the run before has left
  model = models[data[0] % 3u];
  guard_paint(GUARD_PATTERN);
  inferences = 0;
  next = begin, end = begin + sizeof begin - 1;
  if (!setjmp(over))
    command_loop();
  inferences = 0;
  next = data + 1, end = data + size;
  if (!setjmp(over))
    command_loop();
  return 0;
}

#ifdef ONCE
#include <stdio.h>
int main(int count, char **paths) {
  LLVMFuzzerInitialize(&count, &paths);
  for (int i = 1; i < count; i++) {
    static uint8_t data[1 << 16];
    FILE *file = fopen(paths[i], "rb");
    if (!file)
      return 2;
    const size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
  }
  return 0;
}
#endif
