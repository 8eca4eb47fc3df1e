# SPDX-License-Identifier: Apache-2.0
"""A TensorFlow function -> float .tflite with a batch of 1, variables frozen.

Operators that TFLite has not are let through by name (as TF Select), so that mcunas can say which node of the model they
stand for instead of repeating the converter's pages.
"""
from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from complaint import Complaint, first_line
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2


def to_tflite(function: Callable[..., Any], inputs: Sequence[tuple[str, tuple[int, ...]]]) -> bytes:
    """function: of positional tensors. inputs: (name, shape)."""
    specs = [tf.TensorSpec(shape, tf.float32, f"input_{i}") for i, (_, shape) in enumerate(inputs)]
    frozen = convert_variables_to_constants_v2(tf.function(function, autograph=False).get_concrete_function(*specs))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    converter.allow_custom_ops = True
    try:
        with quiet():
            return converter.convert()
    except Exception as error:
        raise Complaint(f"TensorFlow cannot convert it ({first_line(error)})") from None


def fixed(name: str, shape: Sequence[int | None] | None, dtype: Any) -> tuple[int, ...]:
    """The shape with a batch of 1. Raises Complaint for one that is not known, and for anything but float32."""
    where = f'input "{name}"'
    if dtype is not None and tf.as_dtype(dtype) != tf.float32:
        raise Complaint(f"its type is {tf.as_dtype(dtype).name}, not float32", where, "export the model with float32 inputs")
    if shape is None or len(shape) < 2 or any(d is None or d < 1 for d in list(shape)[1:]):
        raise Complaint(f"its shape {shape} is not fixed", where, "export the model with a fixed input size")
    if shape[0] not in (None, 1):
        raise Complaint(f"its batch is fixed at {shape[0]}", where, "export the model with a batch of 1, or a free one")
    return (1, *(int(d) for d in list(shape)[1:]))


@contextmanager
def quiet() -> Any:
    """The converter writes progress from C++; stderr is kept for what ends the program."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)
