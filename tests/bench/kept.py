# SPDX-License-Identifier: Apache-2.0
"""What a run of an arm leaves in its folder: its row, or the words in which it ended, and what it was asked.

A row is good for what was asked: where an arm's settings or its schedule are others than they were, it is run again. Of runs
that left no word of what they were asked nothing is known to differ, so their rows count.
"""
from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mcunas.atomic import write_file
from mcunas.errors import McunasError

ROW, FAILED, ASKED = "row.json", "failed.json", "asked.json"


class TimeUp(Exception):
    pass


def deadline(minutes: float) -> Callable[..., None]:
    """To be called every epoch, with whatever; raises TimeUp once the minutes are over."""
    end = time.monotonic() + 60 * minutes

    def stop(*unused: object) -> None:
        if time.monotonic() > end:
            raise TimeUp

    return stop


def row_of(out: Path, asked: Mapping[str, Any], run: Callable[[], dict[str, Any]], **names: Any) -> dict[str, Any] | None:
    """What `run` gives, with these names, or what an equal run left; None, and the words on stdout, for one in error."""
    if not is_asked(out, asked):
        print(f"{out.name}: was asked something else, begins anew", flush=True)
        shutil.rmtree(out)
    if (out / FAILED).exists():
        print(f"{out.name}: {json.loads((out / FAILED).read_text())['words']} (remove {FAILED} to try again)", flush=True)
        return None
    if not (out / ROW).exists():
        _write(out / ASKED, asked)
        try:
            _write(out / ROW, {**names, **run()})
        except McunasError as error:
            print(f"{out.name}: {error}", flush=True)
            _write(out / FAILED, {**names, "words": str(error)})
            return None
    return json.loads((out / ROW).read_text())


def is_asked(out: Path, asked: Mapping[str, Any]) -> bool:
    """Whether nothing in the folder says that it was asked something else."""
    path = out / ASKED
    return not path.exists() or json.loads(path.read_text()) == json.loads(json.dumps(asked))


def left(out: Path, asked: Mapping[str, Any], file: str) -> list[dict[str, Any]]:
    """The row (ROW) or the failure (FAILED) of a run that was asked this; none or one."""
    path = out / file
    return [json.loads(path.read_text())] if path.exists() and is_asked(out, asked) else []


def said(failures: list[dict[str, Any]]) -> list[str]:
    """A paragraph for each."""
    return [f"No result: {f['arm']}, seed {f['seed']}: {f['words']}.\n" for f in failures]


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_file(path, json.dumps(content, indent=1) + "\n")
