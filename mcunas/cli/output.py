# SPDX-License-Identifier: Apache-2.0
"""What verbs print: JSON for programs, a rich table for people."""
from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any


def print_json(value: Any) -> None:
    """`value` on stdout; keys keep their order, NaN is refused."""
    print(json.dumps(value, indent=2, allow_nan=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """A table; columns after the first are right-aligned where every cell starts with a digit or a dash."""
    from rich.console import Console
    from rich.table import Table

    rows = [tuple(map(str, row)) for row in rows]
    table = Table(title=title, title_justify="left", header_style="bold underline", box=None, padding=(0, 2, 0, 0))
    for i, name in enumerate(columns):
        numeric = i > 0 and all(row[i][:1].isdigit() or row[i][:1] in ("–", "-", "") for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=numeric or i == 0)
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)


def kib(size_bytes: int) -> str:
    """Bytes as KiB for a table: '64 KiB', '22.4 KiB'."""
    text = f"{size_bytes / 1024:,.1f}".removesuffix(".0")
    return f"{text} KiB"
