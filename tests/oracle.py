# SPDX-License-Identifier: Apache-2.0
"""Comparisons against TFLite Micro that many tests share."""
from __future__ import annotations

import numpy as np

from mcunas.graph import Graph, reference
from mcunas.graph.oracle import run

__all__ = ["differences", "run"]


def differences(graph: Graph, inputs: list[np.ndarray]) -> list[str]:
    """Where the numpy reference and TFLite Micro differ: one line per op output, empty when every byte agrees."""
    ours, theirs = reference.run(graph, inputs), run(graph, inputs)
    found = []
    for i, op in enumerate(graph.ops):
        for t in op.outputs:
            if ours[t].dtype != theirs[t].dtype or ours[t].tobytes() != theirs[t].tobytes():
                found.append(f"{graph.where(i)}: {np.count_nonzero(ours[t] != theirs[t])} of {ours[t].size} values")
    return found
