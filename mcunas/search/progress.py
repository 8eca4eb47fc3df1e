# SPDX-License-Identifier: Apache-2.0
"""Progress bars on stderr (rich), so that --json on stdout stays clean. Use as a context; pass it as `progress`."""
from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column

_SHOWN = (("validation", "{:.1%}"), ("ram_bytes", "RAM {:,} B"), ("flash_bytes", "flash {:,} B"),
          ("latency_us", "{:,.0f} us"), ("loss", "loss {:.3f}"))
_DECIBELS = "{:.2f} dB"     # instead of a share, for what is more than all


class ProgressBars:
    """One bar per phase, with the last figures behind it. Nothing is shown before the first figures come."""

    def __init__(self, console: Console | None = None) -> None:
        columns = (TextColumn("{task.description}", table_column=Column(min_width=8)),
                   BarColumn(table_column=Column(min_width=16, max_width=24)),
                   MofNCompleteColumn(table_column=Column(min_width=7, no_wrap=True)),
                   TimeElapsedColumn(table_column=Column(min_width=7, no_wrap=True)),
                   TextColumn("{task.fields[figures]}", table_column=Column(ratio=1, no_wrap=True)))
        self._bars = Progress(*columns, console=console or Console(stderr=True), expand=True)
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> ProgressBars:
        return self

    def __exit__(self, *unused: object) -> None:
        if self._tasks:
            self._bars.stop()

    def __call__(self, phase: str, done: int, total: int, figures: dict[str, Any]) -> None:
        if not self._tasks:
            self._bars.start()
        if phase not in self._tasks:
            self._tasks[phase] = self._bars.add_task(phase, total=total, figures="")
        text = "  ".join((_DECIBELS if key == "validation" and figures[key] > 1 else form).format(figures[key])
                         for key, form in _SHOWN if key in figures)
        self._bars.update(self._tasks[phase], completed=done, figures=text)
