# SPDX-License-Identifier: Apache-2.0
"""The test split's ledger: who read it, when, and how many images. An arm reads it once per stage, at its end."""
from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from mcunas.atomic import write_file
from mcunas.tasks.task import Split, Task

LEDGER = "test_reads.json"


def open_test(task: Task, out: Path, stage: str, count: int | None = None) -> Split:
    """The test split, or its first `count` images, for `stage`; the read is written down in `out` before it happens."""
    split = task.test[:count]
    entry = {"stage": stage, "when": datetime.now(UTC).isoformat(timespec="seconds"), "images": len(split)}
    write_file(out / LEDGER, json.dumps([*reads(out), entry], indent=1) + "\n")
    return split


def reads(out: Path) -> list[dict]:
    """All reads of the run in `out`, oldest first."""
    try:
        return json.loads((out / LEDGER).read_text())
    except (OSError, ValueError):
        return []
