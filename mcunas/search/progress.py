# SPDX-License-Identifier: Apache-2.0
"""Progress bars on stderr (rich), so that --json on stdout stays clean. Use as a context; pass it as `progress`."""
from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_SHOWN = (("loss", "loss {:.3f}"), ("validation", "validation {:.1%}"), ("ram_bytes", "RAM {:,} B"),
          ("flash_bytes", "flash {:,} B"), ("latency_us", "{:,.0f} us"))


class ProgressBars:
    """One bar per phase, with the last figures behind it."""

    def __init__(self, console: Console | None = None) -> None:
        columns = (TextColumn("{task.description:<9}"), BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(),
                   TextColumn("{task.fields[figures]}"))
        self._bars = Progress(*columns, console=console or Console(stderr=True))
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> ProgressBars:
        self._bars.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._bars.stop()

    def __call__(self, phase: str, done: int, total: int, figures: dict[str, Any]) -> None:
        if phase not in self._tasks:
            self._tasks[phase] = self._bars.add_task(phase, total=total, figures="")
        text = "  ".join(form.format(figures[key]) for key, form in _SHOWN if key in figures)
        self._bars.update(self._tasks[phase], completed=done, figures=text)
