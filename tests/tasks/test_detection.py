# SPDX-License-Identifier: Apache-2.0
"""Detection: canvases that repeat and leak nothing, boxes that fit, a metric that is COCO's, and C that decodes alike."""
from __future__ import annotations

import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from mcunas import tasks
from mcunas.paths import firmware_dir
from mcunas.tasks import Split
from mcunas.tasks.detection.coco import precisions
from mcunas.tasks.detection.decode import CAPACITY, SUB, DetectionHead, boxes_of, padded
from mcunas.tasks.detection.objective import Detection
from mcunas.tasks.detection.scenes import Look, draw_scenes
from tests.tasks.average_precision import mean_average_precision

LOOK = Look(64, (18, 34), 3)
_MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include "mn_boxes.h"
static const struct mn_boxes head = {%(fields)s};
int main(void) {
  const size_t bytes = (size_t)head.rows * head.columns * (size_t)(head.classes + 4);
  int8_t *in = malloc(bytes);
  if (in == NULL) return 1;
  while (fread(in, 1, bytes, stdin) == bytes) {
    struct mn_box *out = malloc(MN_BOXES_CAPACITY * sizeof *out);
    if (out == NULL) return 1;
    const int32_t count = (int32_t)mn_boxes_s8(&head, in, out);
    fwrite(&count, sizeof count, 1, stdout);
    for (int32_t i = 0; i < count; i++) {
      const int32_t v[6] = {out[i].left, out[i].top, out[i].right, out[i].bottom, out[i].kind, out[i].score};
      fwrite(v, sizeof v, 1, stdout);
    }
    free(out);
  }
  free(in);
  return 0;
}
"""


@pytest.fixture(scope="module")
def items() -> Split:
    return tasks.load("digits").validation


def test_equal_seeds_give_equal_canvases_and_others_others(items: Split) -> None:
    (images, boxes), (again, _), (other, _) = (draw_scenes(items, LOOK, 20, seed) for seed in (1, 1, 2))
    assert np.array_equal(images, again) and not np.array_equal(images, other)
    assert images.shape == (20, 64, 64, 1) and boxes.shape == (20, 3, 5) and (boxes[:, 0, 4] >= 0).all()


def test_a_box_is_tight_around_its_item() -> None:
    """A white square with a black border is found to the pixel on what is left of the texture."""
    square = np.full((1, 16, 16, 1), -128, np.int8)
    square[0, 4:12, 4:12] = 127
    images, boxes = draw_scenes(Split(square, np.array([3])), Look(64, (32, 33), 1), 30, 5)
    for image, (left, top, right, bottom, kind) in zip(images[..., 0].astype(int) + 128, boxes[:, 0]):
        assert kind == 3 and 15 <= right - left <= 19 and 15 <= bottom - top <= 19
        inside = image[top + 2:bottom - 2, left + 2:right - 2]
        assert inside.min() > 170
        assert right == 64 or image[(top + bottom) // 2, right] < 150


def test_splits_take_items_of_their_own_split_only(monkeypatch: pytest.MonkeyPatch) -> None:
    from mcunas.tasks import detection

    source, seen = tasks.load("digits"), {}
    monkeypatch.setattr(detection, "draw_scenes", lambda split, look, count, seed: seen.setdefault(seed, split) and (
        np.zeros((1, 64, 64, 1), np.int8), np.zeros((1, 3, 5), np.int16)))
    detection._load.__wrapped__("digits", 64)
    hashes = [{image.tobytes() for image in seen[seed].images} for seed in (1, 2, 3)]
    assert [len(seen[seed]) for seed in (1, 2, 3)] == [len(s) for s in (source.train, source.validation, source.test)]
    assert not hashes[0] & hashes[1] and not hashes[0] & hashes[2] and not hashes[1] & hashes[2]


def test_right_boxes_score_one_and_moved_ones_less() -> None:
    labels = np.array([[[4, 4, 24, 24, 1], [40, 30, 60, 60, 2]], [[10, 10, 30, 40, 1], [0, 0, 0, 0, -1]]], np.int16)
    found = np.zeros((2, CAPACITY, 6), np.int32)
    found[:, :, 4] = -1
    found[:, :2, :4], found[:, :2, 4], found[:, :2, 5] = labels[:, :, :4] * SUB, labels[:, :, 4], 5
    assert precisions(found, labels) == {"mAP": pytest.approx(1), "mAP50": pytest.approx(1)}
    found[:, :2, (0, 2)] += 3 * SUB         # of boxes that are 20 and 30 wide
    moved = precisions(found, labels)
    assert moved["mAP50"] == pytest.approx(1) and 0.2 < moved["mAP"] < 0.9
    found[:, :, 4] = -1
    assert precisions(found, labels) == {"mAP": 0.0, "mAP50": 0.0}


def test_precisions_are_those_of_an_implementation_of_its_own() -> None:
    random = np.random.default_rng(0)
    labels, found = np.full((40, 3, 5), -1, np.int16), np.zeros((40, CAPACITY, 6), np.int32)
    found[:, :, 4] = -1
    for image in range(40):
        for place in range(random.integers(1, 4)):
            corner, side = random.integers(0, 30, 2), random.integers(8, 30, 2)
            labels[image, place] = [*corner, *(corner + side), random.integers(3)]
        near = labels[image, labels[image, :, 4] >= 0]
        near = near[random.integers(len(near), size=random.integers(1, CAPACITY))]
        found[image, :len(near), :4] = near[:, :4] * SUB + random.integers(-60, 61, (len(near), 4))
        found[image, :len(near), 4] = np.where(random.random(len(near)) < 0.8, near[:, 4], random.integers(3))
        found[image, :len(near), 5] = np.sort(random.permutation(256)[:len(near)])[::-1] - 128
    truths = [(i, int(b[4]), tuple(map(float, b[:4]))) for i, own in enumerate(labels) for b in own if b[4] >= 0]
    answers = [(i, int(b[4]), tuple(b[:4] / SUB), float(b[5])) for i, own in enumerate(found) for b in own if b[4] >= 0]
    measured = precisions(found, labels)
    assert measured["mAP"] == pytest.approx(mean_average_precision(answers, truths), abs=1e-9) and measured["mAP"] > 0.1
    assert measured["mAP50"] == pytest.approx(mean_average_precision(answers, truths, [0.5]), abs=1e-9)


def test_outputs_that_say_the_targets_decode_to_the_labels() -> None:
    labels = np.array([[[4, 4, 24, 24, 1], [40, 30, 60, 60, 2], [0, 0, 0, 0, -1]]], np.int16)
    objective = Detection(3, (64, 64))
    outputs = torch.zeros(1, 7, 8, 8)
    heat, boxes, weight = objective._targets(outputs, torch.from_numpy(labels))
    x, y, _ = objective._centres(outputs)
    outputs[:, :3] = 20 * heat - 10
    outputs[:, 3:] = torch.stack([x - boxes[..., 0], y[:, None] - boxes[..., 1], boxes[..., 2] - x,
                                  boxes[..., 3] - y[:, None]], 1).clamp_min(0) / 4
    found = objective.decode(outputs.permute(0, 2, 3, 1).numpy(), None)
    assert sorted(found[0, :2, :5].tolist()) == sorted((labels[0, :2] * [SUB, SUB, SUB, SUB, 1]).tolist())
    assert (found[0, 2:, 4] == -1).all() and objective.measure(found, labels)["mAP"] == pytest.approx(1)
    assert objective.loss(outputs, torch.from_numpy(labels)) < 0.1 < objective.loss(-outputs, torch.from_numpy(labels))


def heads() -> list[DetectionHead]:
    return [DetectionHead.of((8, 8, 14), (64, 64), (0.06, 12)), DetectionHead.of((12, 12, 14), (96, 96), (0.3, -128)),
            DetectionHead.of((3, 5, 5), (24, 40), (0.01, 127))]


@pytest.mark.parametrize("head", heads(), ids=lambda head: f"{head.rows}x{head.columns}")
def test_c_decodes_like_the_reference(head: DetectionHead, tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no host C compiler")
    fields = ", ".join(f".{name} = {value}" for name, value in asdict(head).items())
    (tmp_path / "main.c").write_text(_MAIN % {"fields": fields})
    decode = firmware_dir() / "decode"
    subprocess.run([compiler, "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow",
                    "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{decode}",
                    str(decode / "mn_boxes_s8.c"), str(tmp_path / "main.c"), "-o", str(tmp_path / "decode")], check=True)
    random = np.random.RandomState(4)
    shape = (60, head.rows, head.columns, head.classes + 4)
    outputs = random.randint(-128, 128, shape)
    outputs[20:40] = np.clip(random.randint(-3, 4, shape)[20:40] * 40, -128, 127)          # many of one score
    outputs[40:50] = -128
    outputs[50:] = 127
    done = subprocess.run([str(tmp_path / "decode")], input=outputs.astype(np.int8).tobytes(), capture_output=True,
                          check=True)
    words, found, at = np.frombuffer(done.stdout, np.int32), [], 0
    while at < len(words):
        found.append(words[at + 1:at + 1 + 6 * words[at]].reshape(-1, 6))
        at += 1 + 6 * int(words[at])
    assert np.array_equal(padded(found), boxes_of(outputs.astype(np.int8), head))
