# SPDX-License-Identifier: Apache-2.0
"""The generated C, built for the host with sanitizers, against the numpy reference."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from mcunas.board import Board
from mcunas.compiler import compile_graph
from mcunas.device.host import build_host
from mcunas.graph import reference
from tests.kernels.bundle import Case

_BOARD = "mps3-an547"           # the one with the most memory


def c_differences(case: Case, folder: Path) -> list[str]:
    """One line per tensor that differs; empty when every byte of every op output agrees.

    The inputs go in twice, because a run may overwrite them and must not depend on what the one before left behind.
    """
    graph, inputs = case
    expected = reference.run(graph, inputs)
    image = build_host(compile_graph(graph, Board.load(_BOARD), rewrite=False), folder)
    found = []
    for outputs, taps in image.run_batch([inputs, inputs]):
        for t, value in [*zip(graph.outputs, outputs), *taps.items()]:
            if value.dtype != expected[t].dtype or value.tobytes() != expected[t].tobytes():
                found.append(f'tensor {t} "{graph.tensors[t].name}": '
                             f"{np.count_nonzero(value != expected[t])} of {value.size} values")
    return found
