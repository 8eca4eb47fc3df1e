# SPDX-License-Identifier: Apache-2.0
"""Models that were not made here: float ones of ONNX, Keras, TensorFlow and TFLite become int8. Importing this is cheap."""
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from mcunas.convert.driver import Imported

__all__ = ["import_model"]


def import_model(model: str | Path, representative: str | Path) -> Imported:
    """Convert and quantize a file or a SavedModel folder. representative: .npz or .npy of real inputs, as the model takes
    them, samples first.

    Only .tflite needs no TensorFlow; the others run it in a process of its own. Raises InputError, ToolMissing.
    """
    from mcunas.convert.driver import run_import

    return run_import(model, representative)
