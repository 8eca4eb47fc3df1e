# SPDX-License-Identifier: Apache-2.0
"""Board files and cycle tables: any text is a board, from which all that is generated can be generated, or one line."""
from __future__ import annotations

import tempfile
from pathlib import Path

from mcunas.board import Board
from mcunas.device.layout import board_h, linker_script
from mcunas.errors import McunasError
from mcunas.paths import boards_dir
from tests.fuzz.text import words_of

BYTES = 8000
_TEMPORARY = tempfile.TemporaryDirectory(prefix="mcunas-fuzz-")
_FOLDER = Path(_TEMPORARY.name)


def seeds() -> tuple[bytes, ...]:
    """A byte says which of the two files the rest is."""
    chosen = ("mps2-an386", "mps3-an547", "microbit", "nucleo-l4r5zi", "pico", "nucleo-h743zi2")
    boards = [boards_dir() / f"{key}.toml" for key in chosen]
    tables = sorted((boards_dir() / "cost").glob("cortex-m[07].toml"))
    return (*(b"b" + path.read_bytes() for path in boards if path.exists()), *(b"c" + path.read_bytes() for path in tables))


WORDS = words_of(seeds())


def once(data: bytes) -> None:
    board, table = (data[1:], None) if data[:1] != b"c" else ((boards_dir() / "mps2-an386.toml").read_bytes(), data[1:])
    path, cost = _FOLDER / "fuzzed.toml", _FOLDER / "cost" / "fuzzed.toml"
    cost.parent.mkdir(exist_ok=True)
    path.write_bytes(board)
    cost.unlink(missing_ok=True)
    if table is not None:
        cost.write_bytes(table)
    try:
        loaded = Board.load(path)
        assert loaded.flash_bytes > 0 and loaded.ram_bytes > 0 and min(loaded.arenas.values()) > 0
        for text in (board_h(loaded), linker_script(loaded, loaded.ram_bytes, loaded.flash_bytes)):
            text.encode("ascii")
        low, high = loaded.cycle_model.low, loaded.cycle_model.high
        assert low <= high
    except McunasError as error:
        assert "\n" not in str(error)
