# SPDX-License-Identifier: Apache-2.0
"""The examples: the README shows them as they are, each is short, and together they make validated firmware."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_short_and_shown_as_it_is(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) < 40 and text in (ROOT / "README.md").read_text()


def test_own_model_task_and_method_make_validated_firmware(tmp_path: Path) -> None:
    asked = ["search", "--model", "my_model:build", "--data", "my_task:loaders", "--method", "my_method:shape",
             "--ram", "4 KiB", "--flash", "20 KiB", "--set", "step=0.8", "--smoke", "--json", "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", "mcunas", *asked], cwd=ROOT / "examples", capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    run = json.loads(done.stdout)
    assert run["verdict"]["ok"] and run["match"]["mismatches"] == 0
    flash = next(q for q in run["quantities"] if q["name"].startswith("Flash"))
    assert flash["measured"] <= flash["budget"] < flash["start"]


@pytest.mark.parametrize("method, said", [("my_method:find", "shape"), ("my_method:choose", "has no 'choose'"),
                                          ("no_such_module:shape", "ModuleNotFoundError"), ("difprune", "did you mean")])
def test_a_method_that_is_none_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str,
                                                      said: str) -> None:
    from mcunas.errors import InputError
    from mcunas.search.methods import module_of

    monkeypatch.chdir(ROOT / "examples")
    with pytest.raises(InputError, match=said):
        module_of(method)
