# SPDX-License-Identifier: Apache-2.0
"""The same model under both engines, mcunas' ahead-of-time C and TensorFlow Lite Micro, measured the same way."""
from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mcunas.device.build import Image
from mcunas.device.random_input import random_inputs
from mcunas.device.run import inference, input_bytes
from mcunas.device.stand_in import emulated, stand_in
from mcunas.device.target import connect
from mcunas.device.tflm import Tflm, build_tflm
from mcunas.device.validate import instructions
from mcunas.graph import read_tflite
from mcunas.graph.oracle import Oracle


@dataclass(frozen=True)
class Engine:
    """Bytes and instructions of one engine; differing: output bytes that are not tflite-micro's."""

    engine: str
    ram_bytes: int
    flash_bytes: int
    stack_bytes: int
    instructions: int | None
    differing: int


def compare(image: Image, tflm: Tflm, *, inputs: int = 3) -> tuple[Engine, Engine]:
    """(mcunas, TFLM) in QEMU; the model is the one that `image` was built from.

    Raises InputError, ToolMissing, DoesNotFit, CheckFailed.
    """
    data = image.model_bytes()
    graph = read_tflite(data)
    with tempfile.TemporaryDirectory(prefix="mcunas-") as folder:
        ours = emulated(image)
        theirs = build_tflm(graph, data, stand_in(image.board), Path(folder), tflm)
        oracle = Oracle(graph, data)
        return tuple(_measure(name, image, oracle, inputs)  # type: ignore[return-value]
                     for name, image in (("mcunas", ours), ("tflm", theirs)))


def _measure(name: str, image, oracle: Oracle, inputs: int) -> Engine:
    differing = 0
    with connect(image) as link:
        for seed in range(inputs):
            arrays = random_inputs(seed, [(tuple(t["shape"]), t["dtype"]) for t in image.manifest["inputs"]])
            found = np.frombuffer(inference(link, input_bytes(image, arrays)), np.uint8)
            expected = b"".join(np.ascontiguousarray(a).tobytes() for a in oracle.outputs(arrays))
            differing += int(np.count_nonzero(found != np.frombuffer(expected, np.uint8)))
        executed = instructions(link, image)
        link.command("seed 0")
        memory = link.memory()
    return Engine(name, memory.arena_used, image.manifest["build"]["flash_bytes"], memory.stack_used, executed, differing)
