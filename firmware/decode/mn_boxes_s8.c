// SPDX-License-Identifier: Apache-2.0
#include "mn_boxes.h"

#include <stdbool.h>

// A centre is a cell that no neighbour of its class exceeds; of equal ones the first.
static bool is_peak(const struct mn_boxes *p, const int8_t *in, int32_t row, int32_t column, int32_t kind) {
  const int32_t depth = p->classes + 4;
  const int8_t own = in[(row * p->columns + column) * depth + kind];
  for (int32_t dy = -1; dy <= 1; dy++) {
    for (int32_t dx = -1; dx <= 1; dx++) {
      const int32_t y = row + dy, x = column + dx;
      if (y < 0 || y >= p->rows || x < 0 || x >= p->columns || (dy == 0 && dx == 0))
        continue;
      const int8_t other = in[(y * p->columns + x) * depth + kind];
      const bool is_before = dy < 0 || (dy == 0 && dx < 0);
      if (other > own || (is_before && other == own))
        return false;
    }
  }
  return true;
}

static int32_t steps(const struct mn_boxes *p, int8_t q) {
  const int32_t distance = q - p->zero_point;
  return distance > 0 ? (distance * p->multiplier + (1 << (MN_BOXES_SHIFT - 1))) >> MN_BOXES_SHIFT : 0;
}

static int16_t within(int32_t value, int32_t most) {
  return (int16_t)(value < 0 ? 0 : value > most ? most : value);
}

static struct mn_box box_at(const struct mn_boxes *p, const int8_t *in, int32_t row, int32_t column, int32_t kind) {
  const int8_t *cell = in + (row * p->columns + column) * (p->classes + 4);
  const int8_t *far = cell + p->classes;
  const int32_t stride = p->stride_px * MN_BOXES_SUB, x = column * stride + stride / 2, y = row * stride + stride / 2;
  const int32_t wide = p->width * MN_BOXES_SUB, high = p->height * MN_BOXES_SUB;
  return (struct mn_box){within(x - steps(p, far[0]), wide), within(y - steps(p, far[1]), high),
                         within(x + steps(p, far[2]), wide), within(y + steps(p, far[3]), high),
                         (uint8_t)kind,                      cell[kind]};
}

static int32_t shared(int32_t from, int32_t to, int32_t other_from, int32_t other_to) {
  const int32_t first = from > other_from ? from : other_from, last = to < other_to ? to : other_to;
  return last > first ? last - first : 0;
}

static int32_t area(const struct mn_box *a) {
  return (a->right - a->left) * (a->bottom - a->top);
}

// Whether two boxes share more than half of the area that both cover together.
static bool covers(const struct mn_box *a, const struct mn_box *b) {
  const int32_t common = shared(a->left, a->right, b->left, b->right) * shared(a->top, a->bottom, b->top, b->bottom);
  return a->kind == b->kind && 2 * common > area(a) + area(b) - common;
}

// Insert behind those of an equal or better score; returns how many there are then.
static uint32_t insert(struct mn_box *out, uint32_t count, struct mn_box box) {
  uint32_t at = count < MN_BOXES_CAPACITY ? count++ : MN_BOXES_CAPACITY - 1u;
  for (; at > 0 && out[at - 1u].score < box.score; at--)
    out[at] = out[at - 1u];
  out[at] = box;
  return count;
}

uint32_t mn_boxes_s8(const struct mn_boxes *p, const int8_t *in, struct mn_box *out) {
  const int8_t *q = in;
  uint32_t count = 0;
  for (int32_t row = 0; row < p->rows; row++) {
    for (int32_t column = 0; column < p->columns; column++, q += p->classes + 4) {
      for (int32_t kind = 0; kind < p->classes; kind++) {
        const bool is_full = count == MN_BOXES_CAPACITY;
        if (q[kind] <= p->threshold || (is_full && q[kind] <= out[count - 1u].score) || !is_peak(p, in, row, column, kind))
          continue;
        count = insert(out, count, box_at(p, in, row, column, kind));
      }
    }
  }
  uint32_t kept = 0;
  for (uint32_t i = 0; i < count; i++) {
    bool is_covered = false;
    for (uint32_t better = 0; better < kept; better++)
      is_covered |= covers(&out[better], &out[i]);
    if (!is_covered)
      out[kept++] = out[i];
  }
  return kept;
}
