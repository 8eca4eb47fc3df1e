# SPDX-License-Identifier: Apache-2.0
"""Runs a built firmware on its target, an emulated core, and feeds it over the serial line."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from mcunas.device.build import Image
from mcunas.device.link import Link
from mcunas.device.qemu import Qemu
from mcunas.errors import InputError


@contextmanager
def connect(image: Image, options: Sequence[str] = ()) -> Iterator[Link]:
    """A booted target; it is stopped on leaving. options: more for QEMU. Raises InputError, ToolMissing, CheckFailed."""
    with Qemu(image.board, image.elf, options) as stream:
        link = Link(stream, image.elf)
        link.wait_for_boot()
        yield link


def run(image: Image, inputs: Sequence[np.ndarray] | np.ndarray) -> list[np.ndarray]:
    """One inference. inputs: one array per input tensor (NHWC, the model's dtypes); a lone array for a lone input."""
    data = input_bytes(image, inputs)
    with connect(image) as link:
        link.load(data)
        link.infer()
        return split_outputs(image, link.output())


def stream(image: Image, inputs: np.ndarray, progress: Callable[[int], None] | None = None,
           boxes: list[np.ndarray] | None = None) -> np.ndarray:
    """Many inferences over the serial line; for models with one input and one output.

    inputs: (N, ...) of the input's dtype, each item of the input's size (NHWC). Returns (N, ...) of the output's dtype
    and shape, without its leading 1. progress: called with the number of inferences done so far.
    boxes: gets what the firmware itself finds in each output, (N, 6), where it was built with a decoder.
    """
    tensors = image.manifest["outputs"]
    if len(tensors) != 1 or len(image.manifest["inputs"]) != 1:
        raise InputError("only models with one input and one output can be streamed", image.board.key)
    outputs = []
    with connect(image) as link:
        for done, item in enumerate(inputs, 1):
            link.load(input_bytes(image, item))
            link.infer()
            outputs.append(split_outputs(image, link.output())[0])
            if boxes is not None:
                boxes.append(link.boxes())
            if progress:
                progress(done)
    shape = tuple(tensors[0]["shape"])
    shape = shape[1:] if shape[:1] == (1,) else shape
    return np.array(outputs, tensors[0]["dtype"]).reshape(len(outputs), *shape)


def input_bytes(image: Image, inputs: Sequence[np.ndarray] | np.ndarray) -> bytes:
    """What travels: the tensors' bytes, one after another. Raises InputError for a wrong count, dtype or size."""
    expected = image.manifest["inputs"]
    arrays = [inputs] if isinstance(inputs, np.ndarray) else list(inputs)
    if len(arrays) != len(expected):
        raise InputError(f"{len(arrays)} inputs given, the model has {len(expected)}", image.board.key)
    for array, tensor in zip(arrays, expected):
        if array.dtype.name != tensor["dtype"] or array.nbytes != tensor["bytes"]:
            raise InputError(f"the input is {array.dtype.name} {array.shape}, {array.nbytes} bytes, not "
                             f"{tensor['dtype']} {tuple(tensor['shape'])}", tensor["name"], "give the model's own type")
    return b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)


def split_outputs(image: Image, data: bytes) -> list[np.ndarray]:
    """The output tensors (NHWC) in their bytes."""
    arrays, at = [], 0
    for tensor in image.manifest["outputs"]:
        part = np.frombuffer(data[at:at + tensor["bytes"]], tensor["dtype"])
        arrays.append(part.reshape(tensor["shape"]))
        at += tensor["bytes"]
    return arrays
