// SPDX-License-Identifier: Apache-2.0
// A plugin for QEMU's code generator (interface 1, QEMU 5 to 8): how often each block of guest code ran during one
// function, told apart by the instruction of that function from which it was called; and, where flash has wait states,
// the lines of it that were read. mcunas/device/counts.py builds it for the host and reads what it writes.
//
// Arguments: from=ADDRESS, to=ADDRESS (the function's code), out=FILE; and for flash in lines: flash=ADDRESS,
// flash_end=ADDRESS, line=BYTES, code_lines=N, data_lines=N (what its accelerator keeps).
// The file, written each time the function returns: a line `calls N` (how often the function was entered), then lines
// `SITE START BYTES RUNS TAKEN JUMP NEXT DATA` in hex. SITE: address of the instruction of the function that called, 0
// for the function's own code. TAKEN: how often the block's end was left for another address than the next. JUMP, NEXT:
// lines of code that were read, NEXT where the line before was the one executed last. DATA: lines that loads read.
//
// Debian ships no header, so the few prototypes used here are declared below.
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { CB_NO_REGS = 0, MEM_READ_WRITE = 3 };  // no store reaches flash; reads alone are not told apart by QEMU 7.2

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*cb)(plugin_id id, struct qemu_plugin_tb *tb));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, void (*cb)(unsigned cpu, void *data), int flags,
                                                 void *data);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
extern void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
                                             void (*cb)(unsigned cpu, uint32_t info, uint64_t address, void *data), int flags,
                                             int direction, void *data);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

struct count {
  uint64_t runs, taken, jump_lines, next_lines, data_lines;
};

// The same code may be translated again and again; it stays one block.
struct block {
  uint32_t start, last, end;  // addresses of the first and the last instruction, and behind it
  struct block *next;
  struct count *at;           // one per site
  size_t sites;
};

// Flash that is read in lines, and the lines that its accelerator keeps, least recently used first out.
#define MOST_LINES 512u
struct cache {
  uint32_t lines, tag[MOST_LINES];
  uint64_t used[MOST_LINES];
};
static struct cache code_cache, data_cache;
static uint32_t flash_start, flash_end, line_bytes, last_line;
static uint64_t lookups;

static bool fetched(struct cache *cache, uint32_t line) {
  uint32_t oldest = 0;
  lookups++;
  for (uint32_t i = 0; i < cache->lines; i++) {
    if (cache->used[i] && cache->tag[i] == line) {
      cache->used[i] = lookups;
      return false;
    }
    if (cache->used[i] < cache->used[oldest])
      oldest = i;
  }
  cache->tag[oldest] = line;
  cache->used[oldest] = lookups;
  return true;
}

#define BUCKETS 4096u
static struct block *buckets[BUCKETS];

static uint32_t *sites;       // sites[0] = 0: the function itself
static size_t site_count, site_room;

static uint32_t from, to, return_to;
static const char *out;
static uint64_t calls;
static bool inside;
static size_t site;
static struct block *previous;

static void *grown(void *memory, size_t bytes) {
  void *more = realloc(memory, bytes);
  if (more == NULL)
    abort();
  return more;
}

static size_t site_of(uint32_t address) {
  for (size_t i = 0; i < site_count; i++)
    if (sites[i] == address)
      return i;
  if (site_count == site_room)
    sites = grown(sites, (site_room = 2u * site_room + 16u) * sizeof *sites);
  sites[site_count] = address;
  return site_count++;
}

static struct count *counts(struct block *block) {
  if (site >= block->sites) {
    block->at = grown(block->at, (site + 1u) * sizeof *block->at);
    memset(block->at + block->sites, 0, (site + 1u - block->sites) * sizeof *block->at);
    block->sites = site + 1u;
  }
  return block->at + site;
}

static void write_counts(void) {
  FILE *file = fopen(out, "w");
  if (file == NULL)
    abort();
  fprintf(file, "calls %" PRIx64 "\n", calls);
  for (size_t b = 0; b < BUCKETS; b++)
    for (const struct block *block = buckets[b]; block != NULL; block = block->next)
      for (size_t s = 0; s < block->sites; s++)
        if (block->at[s].runs)
          fprintf(file, "%" PRIx32 " %" PRIx32 " %" PRIx32 " %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64 "\n",
                  sites[s], block->start, block->end - block->start, block->at[s].runs, block->at[s].taken,
                  block->at[s].jump_lines, block->at[s].next_lines, block->at[s].data_lines);
  if (fclose(file) != 0)
    abort();
}

static void code_is_read(struct block *block) {
  struct count *count = counts(block);
  for (uint32_t line = block->start / line_bytes; line <= (block->end - 1u) / line_bytes; line++) {
    if (line != last_line && fetched(&code_cache, line))
      *(line == last_line + 1u ? &count->next_lines : &count->jump_lines) += 1;
    last_line = line;
  }
}

static void block_runs(unsigned cpu, void *data) {
  (void)cpu;
  struct block *block = data;
  const bool is_function = block->start >= from && block->start < to;
  const uint32_t next = previous != NULL ? previous->end : 0;
  if (inside && next != block->start)
    counts(previous)->taken++;
  if (!inside && is_function && block->start == from) {
    inside = true;
    calls++;
    return_to = next;
    site = 0;
  } else if (inside && block->start == return_to) {
    inside = false;
    write_counts();
  } else if (inside && is_function) {
    site = 0;
  } else if (inside && site == 0) {
    site = site_of(previous->last);
  }
  if (inside) {
    counts(block)->runs++;
    if (line_bytes && block->start >= flash_start && block->start < flash_end)
      code_is_read(block);
  }
  previous = block;
}

static void block_loads(unsigned cpu, uint32_t info, uint64_t address, void *data) {
  (void)cpu;
  (void)info;
  if (inside && address >= flash_start && address < flash_end && fetched(&data_cache, (uint32_t)address / line_bytes))
    counts(data)->data_lines++;
}

// Not by qemu_plugin_insn_size: before the end of a page the translator looks at half of the next instruction, and QEMU
// counts that as part of this one.
static uint32_t thumb_size(const struct qemu_plugin_insn *insn) {
  uint16_t half;
  memcpy(&half, qemu_plugin_insn_data(insn), sizeof half);
  return half >> 11 >= 0x1Du ? 4u : 2u;
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb) {
  (void)id;
  const size_t n = qemu_plugin_tb_n_insns(tb);
  if (n == 0)
    return;
  const struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(tb, n - 1u);
  const uint32_t start = (uint32_t)qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0));
  const uint32_t at = (uint32_t)qemu_plugin_insn_vaddr(last), end = at + thumb_size(last);
  struct block **slot = &buckets[(start >> 1) % BUCKETS];
  while (*slot != NULL && ((*slot)->start != start || (*slot)->end != end))
    slot = &(*slot)->next;
  if (*slot == NULL) {
    *slot = grown(NULL, sizeof **slot);
    **slot = (struct block){.start = start, .last = at, .end = end};
  }
  qemu_plugin_register_vcpu_tb_exec_cb(tb, block_runs, CB_NO_REGS, *slot);
  for (size_t i = 0; line_bytes && i < n; i++)
    qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), block_loads, CB_NO_REGS, MEM_READ_WRITE, *slot);
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
  (void)info;
  static const struct {
    const char *name;
    uint32_t *value;
  } numbers[] = {{"from=", &from}, {"to=", &to}, {"flash=", &flash_start}, {"flash_end=", &flash_end}, {"line=", &line_bytes},
                 {"code_lines=", &code_cache.lines}, {"data_lines=", &data_cache.lines}};
  for (int i = 0; i < argc; i++) {
    bool known = !strncmp(argv[i], "out=", 4);
    if (known)
      out = strdup(argv[i] + 4);
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
      const size_t length = strlen(numbers[k].name);
      if (!strncmp(argv[i], numbers[k].name, length)) {
        *numbers[k].value = (uint32_t)strtoul(argv[i] + length, NULL, 0);
        known = true;
      }
    }
    if (!known)
      return 1;
  }
  if (from >= to || out == NULL)
    return 1;
  if (line_bytes && (!code_cache.lines || !data_cache.lines || code_cache.lines > MOST_LINES || data_cache.lines > MOST_LINES))
    return 1;
  (void)site_of(0);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  return 0;
}
