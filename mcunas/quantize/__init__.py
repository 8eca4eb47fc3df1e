# SPDX-License-Identifier: Apache-2.0
"""Quantization: from a searched float network to an int8 Graph, with training in the loop. Importing this is cheap."""
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcunas.quantize.choose import Precision
    from mcunas.quantize.model import QuantizedModel
    from mcunas.search.result import Result
    from mcunas.search.state import Progress

__all__ = ["quantize"]


def quantize(result: Result, progress: Progress | None = None, resume: bool = True,
             precision: Precision | str = "int8") -> QuantizedModel:
    """Fold batch norm, train with quantization in the loop, hand the learned scales to an int8 Graph.

    precision: "int8", "int4" weights, or "auto": int4 weights where the flash is short, int16 activations where int8 costs
    too much; mcunas.quantize.choose.Precision says more of how.
    Writes model.tflite and quantize.json into the search's folder; resumes an interrupted training epoch by epoch and
    returns a finished one as it is. Raises InputError, DoesNotFit.
    """
    from mcunas.quantize.choose import Precision
    from mcunas.quantize.driver import run_quantize

    asked = precision if isinstance(precision, Precision) else Precision(precision)
    return run_quantize(result, progress, resume, asked)
