# SPDX-License-Identifier: Apache-2.0
"""The Makefile, read without running recipes: board names, run folders, the order of goals, a path with spaces."""
from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What make reads, in a folder with a space in its name, with the installs marked as done."""
    folder = tmp_path / "a checkout"
    shutil.copytree(ROOT / "boards", folder / "boards")
    for name in ("Makefile", "requirements.lock", "requirements-torch.txt", "pyproject.toml"):
        shutil.copy2(ROOT / name, folder)
    (folder / ".venv").mkdir()
    (folder / ".venv/ready").touch()
    return folder


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True)


def commands(folder: Path, *arguments: str) -> list[str]:
    """The mcunas verbs that make would run, in order."""
    done = make(folder, "--dry-run", "-o", "tools", *arguments)
    assert done.returncode == 0, done.stderr
    return [line.split()[3] for line in done.stdout.splitlines() if " -m mcunas " in line]


def test_a_mistyped_board_gets_a_suggestion(checkout: Path) -> None:
    done = make(checkout, "BOARD=mps2-an368")
    assert done.returncode == 2 and "did you mean mps2-an386?" in done.stderr


def test_a_board_file_of_ones_own_is_taken(checkout: Path) -> None:
    for name in ("mine.toml", "it's mine, (#1).toml"):
        shutil.copy(checkout / "boards/microbit.toml", checkout / name)
        assert commands(checkout, f"BOARD={name}", "boards") == ["boards"]
    assert make(checkout, "BOARD=absent mine.toml", "boards").returncode == 2


@pytest.mark.parametrize("jobs", ["-j1", "-j4"])
def test_goals_run_in_the_order_of_the_road(checkout: Path, jobs: str) -> None:
    assert commands(checkout, jobs, "report", "validate", "firmware", "search") == [
        "search", "build", "validate", "report"]


def test_help_lists_every_documented_target(checkout: Path) -> None:
    said = make(checkout, "help").stdout
    for target in ("setup", "quickstart", "test", "boards", "search", "firmware", "validate", "profile", "report"):
        assert f"make {target} " in said


def test_engine_probe_and_port_reach_the_verbs(checkout: Path) -> None:
    said = make(checkout, "--dry-run", "-o", "tools", "ENGINE=tflm", "PROBE=0669", "PORT=usb", "firmware", "flash", "run",
                "validate", "profile").stdout
    for verb, options in (("build", ("engine",)), ("flash", ("engine", "probe")), ("run", ("engine",)),
                          ("validate", ("engine", "probe", "port")), ("profile", ("engine", "probe", "port"))):
        command = re.search(rf"-m mcunas {verb} (?:.*\\\n)*.*", said)[0]
        assert all(f'--{option} "${option.upper()}"' in command for option in options), command


def test_nothing_is_installed_twice(checkout: Path) -> None:
    assert "pip install" not in make(checkout, "--dry-run", "setup").stdout
