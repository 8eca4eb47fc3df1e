# SPDX-License-Identifier: Apache-2.0
"""Detection tasks, small and offline: real items (Fashion-MNIST, or scikit-learn's digits) on textured canvases.

    scenes.py     canvases with items and boxes, from a seed         textures.py   what stands behind the items
    objective.py  loss and measure of a centre heat map with boxes   decode.py     int8 outputs -> boxes, in integers
    coco.py       mean average precision (pycocotools)

A split's canvases use items of the source's own split only, so that no item is seen on two sides.
"""
from __future__ import annotations

from dataclasses import replace
from functools import cache, partial

from mcunas.tasks.augment import Augment
from mcunas.tasks.detection.objective import Detection
from mcunas.tasks.detection.scenes import Look, draw_scenes
from mcunas.tasks.schedule import Schedule
from mcunas.tasks.task import Split, Task

IMAGES = {"train": 6000, "validation": 600, "test": 1000}
SEEDS = {"train": 1, "validation": 2, "test": 3}        # of each split's canvases; they never change
LOOKS = {64: Look(64, (18, 34), 3), 96: Look(96, (18, 44), 5)}
SCHEDULE = Schedule(prune_epochs=8, finetune_epochs=16, qat_epochs=2, warmup_epochs=1, batch=32, rate=0.05,
                    width_rate=0.02, weight_decay=1e-4, qat_rate=0.0005, measured_images=None)


@cache
def _load(source: str, size: int) -> Task:
    from mcunas import tasks

    of = tasks.load(source)
    look = replace(LOOKS[size], mirrored=source != "digits")
    splits = {name: _split(getattr(of, name), look, name) for name in IMAGES}
    name = f"detection-{size}" if source == "fashion-mnist" else f"detection-{source}-{size}"
    return Task(name, of.classes, **splits, input_scale=of.input_scale, input_zero_point=of.input_zero_point,
                augment=Augment(gain=0.15, noise=0.02), start="detector", options={}, schedule=SCHEDULE,
                objective=Detection(of.classes, (size, size), source))


def _split(items: Split, look: Look, name: str) -> Split:
    images, boxes = draw_scenes(items, look, IMAGES[name], SEEDS[name])
    return Split(images, boxes)


fashion_64, fashion_96 = partial(_load, "fashion-mnist", 64), partial(_load, "fashion-mnist", 96)
digits_64, digits_96 = partial(_load, "digits", 64), partial(_load, "digits", 96)
