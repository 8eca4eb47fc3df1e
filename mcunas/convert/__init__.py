# SPDX-License-Identifier: Apache-2.0
"""Models that were not made here: float ones of ONNX, Keras, TensorFlow and TFLite become int8. Importing this is cheap."""
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from mcunas.convert.driver import Imported

__all__ = ["import_model"]


def import_model(model: str | Path, representative: str | Path) -> Imported:
    """Convert and quantize a file, a SavedModel folder, or the torch module that "module:function" returns.

    representative: .npz or .npy of real inputs, as the model takes them, samples first. ONNX, Keras and SavedModel run
    TensorFlow, in a process of its own; the others need none. Raises InputError, ToolMissing.
    """
    from mcunas.convert.driver import run_import

    return run_import(model, representative)
