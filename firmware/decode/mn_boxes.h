// SPDX-License-Identifier: Apache-2.0
// Items in a detector's int8 output: a heat map per class and four distances per cell, as one tensor (rows, columns,
// classes + 4). mcunas/tasks/detection/decode.py is the reference, to the last bit.
#ifndef MN_BOXES_H
#define MN_BOXES_H

#include <stdint.h>

#define MN_BOXES_CAPACITY 12u  // items of an image
#define MN_BOXES_SUB 16        // steps of a pixel
#define MN_BOXES_SHIFT 12

struct mn_boxes {
  uint8_t rows, columns, classes, stride_px;
  uint16_t height, width;  // of the image, in pixels
  int16_t zero_point;      // of the output
  int16_t threshold;       // what a centre's score must exceed
  int32_t multiplier;      // distance in steps = ((q - zero_point) * multiplier) >> MN_BOXES_SHIFT, rounded
};

struct mn_box {
  int16_t left, top, right, bottom;  // in steps
  uint8_t kind;
  int8_t score;
};

// Writes the items best first, at most MN_BOXES_CAPACITY; returns how many.
uint32_t mn_boxes_s8(const struct mn_boxes *p, const int8_t *in, struct mn_box *out);

#endif
