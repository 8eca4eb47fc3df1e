# SPDX-License-Identifier: Apache-2.0
"""The .tflite reader: a file of any bytes is a legal graph, which is then written and read as the same, or one line."""
from __future__ import annotations

from functools import cache

from mcunas.errors import McunasError
from mcunas.graph import read_tflite, write_tflite
from tests.kernels.bundle import draw
from tests.kernels.strategies_graph import row_network, small_graph
from tests.small_models import dense

WORDS: tuple[bytes, ...] = (b"TFL3", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x00\x00\x80\x7f")
BYTES = 6000


@cache
def seeds() -> tuple[bytes, ...]:
    graphs = [dense(8, 4)]
    for number in range(6):
        graphs.append(draw((small_graph, row_network)[number % 2](), 1, number)[0][0])
    return tuple(data for data in map(write_tflite, graphs) if len(data) <= BYTES)


def once(data: bytes) -> None:
    try:
        graph = read_tflite(data)
    except McunasError as error:
        assert "\n" not in str(error)
        return
    written = write_tflite(graph)
    assert write_tflite(read_tflite(written)) == written
