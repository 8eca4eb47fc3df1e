# SPDX-License-Identifier: Apache-2.0
"""What verbs print: JSON for programs, a rich table for people."""
from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from unicodedata import category

PIPED_WIDTH = 200       # columns where the output is no terminal: nothing is folded or cut
_NUMBER = re.compile(r"[\d,.]*(\s[\w/%]+)?|–")


def print_json(value: Any) -> None:
    """`value` on stdout; keys keep their order, NaN is refused."""
    print(json.dumps(value, indent=2, allow_nan=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """A table; columns after the first are right-aligned where every cell is a number, a unit behind it, or a dash."""
    from rich.console import Console
    from rich.table import Table

    rows = [tuple(printable(str(cell)) for cell in row) for row in rows]
    table = Table(title=title, title_justify="left", header_style="bold underline", box=None, padding=(0, 2, 0, 0),
                  pad_edge=False)
    for i, name in enumerate(columns):
        numeric = i > 0 and all(_NUMBER.fullmatch(row[i]) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=numeric or i == 0)
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH
    Console(highlight=False, markup=False, width=width).print(table)


def printable(text: str) -> str:
    """Without what steers a terminal: names come from the model's file."""
    return "".join("?" if category(c).startswith("C") else c for c in text)


def kib(size_bytes: int) -> str:
    """Bytes as KiB for a table, rounded down: '4,094 KiB', '22.4 KiB'."""
    tenths = size_bytes * 10 // 1024
    return f"{tenths // 10:,} KiB" if tenths >= 1000 or tenths % 10 == 0 else f"{tenths // 10}.{tenths % 10} KiB"


def print_quantities(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """The headline table of a report: budget, predicted, measured, and the start where there was one."""
    def shown(value: float | None, unit: str) -> str:
        if value is None:
            return "–"
        return f"{value / 1000:,.2f} ms" if unit == "us" else f"{value:,.0f} {unit.replace('bytes', 'B')}".rstrip()

    columns = [c for c in ("start", "budget", "predicted", "measured") if c != "start" or any(r["start"] for r in rows)]
    print_table(("", *columns), [(r["name"], *(shown(r[c], r["unit"]) for c in columns)) for r in rows], title)


def working(on: str) -> AbstractContextManager[Any]:
    """A spinner on stderr (nothing where stderr is no terminal), so that --json on stdout stays clean."""
    from rich.console import Console

    return Console(stderr=True).status(on)


@contextmanager
def output_folder(out: Path | None) -> Iterator[Path]:
    """Where firmware goes: inside `out`, or nowhere that lasts."""
    if out:
        yield out / "firmware"
    else:
        with tempfile.TemporaryDirectory(prefix="mcunas-") as folder:
            yield Path(folder)
