# SPDX-License-Identifier: Apache-2.0
"""Runs a built firmware on its target, an emulated core or a board, and feeds it over the serial line."""
from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mcunas.device.build import Image
from mcunas.device.link import Link
from mcunas.device.target import connect, retried
from mcunas.errors import InputError


def run(image: Image, inputs: Sequence[np.ndarray] | np.ndarray, port: str | None = None) -> list[np.ndarray]:
    """One inference. inputs: one array per input tensor (NHWC, the model's dtypes); a lone array for a lone input.
    port: of a board that runs the firmware; None: QEMU."""
    data = input_bytes(image, inputs)
    if port is None:
        image = _emulated(image)
    with connect(image, port=port) as link:
        return split_outputs(image, retried(link, image, lambda: inference(link, data)))


def inference(link: Link, data: bytes) -> bytes:
    """The outputs' bytes for these inputs' bytes."""
    link.load(data)
    link.infer()
    return link.output()


def stream(image: Image, inputs: np.ndarray, progress: Callable[[int], None] | None = None,
           boxes: list[np.ndarray] | None = None, port: str | None = None) -> np.ndarray:
    """Many inferences over the serial line; for models with one input and one output.

    inputs: (N, ...) of the input's dtype, each item of the input's size (NHWC). Returns (N, ...) of the output's dtype
    and shape, without its leading 1. progress: called with the number of inferences done so far.
    boxes: gets what the firmware itself finds in each output, (N, 6), where it was built with a decoder.
    """
    tensors = image.manifest["outputs"]
    if len(tensors) != 1 or len(image.manifest["inputs"]) != 1:
        raise InputError("only models with one input and one output can be streamed", image.board.key)
    outputs = []
    if port is None:
        image = _emulated(image)
    with connect(image, port=port) as link:
        for done, item in enumerate(inputs, 1):
            data = input_bytes(image, item)

            def one(data: bytes = data) -> tuple[bytes, np.ndarray | None]:
                return inference(link, data), None if boxes is None else link.boxes()

            output, found = retried(link, image, one)
            outputs.append(split_outputs(image, output)[0])
            if boxes is not None and found is not None:
                boxes.append(found)
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


def _emulated(image: Image) -> Image:
    from mcunas.device.stand_in import emulated

    return emulated(image)
