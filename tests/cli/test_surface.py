# SPDX-License-Identifier: Apache-2.0
"""What every verb promises: help with an example, one-line errors, JSON, no heavy imports before they are needed."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from inspect import getdoc
from pathlib import Path

import pytest

from mcunas.board import Board
from mcunas.cli import main
from mcunas.cli.app import app

VERBS = {command.name: command.callback for command in app.registered_commands}
HEAVY = ("torch", "nncf", "numpy", "scipy", "sklearn", "jinja2", "tflite_micro")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as leave:
        main(list(arguments))
    return leave.value.code


@pytest.mark.parametrize("arguments", [["--help"], ["boards"], ["validate", "--help"]])
def test_starting_imports_nothing_heavy(arguments: list[str]) -> None:
    script = ("import sys\nfrom mcunas.cli import main\n"
              f"try: main({arguments!r})\nexcept SystemExit: pass\n"
              f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = f"import mcunas, sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_shows_an_example_and_takes_json(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"Example: mcunas {verb}" in getdoc(VERBS[verb])
    assert run(verb, "--help") == 0
    assert "--json" in capsys.readouterr().out


def test_help_fits_a_screen(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run("--help") == 0
    assert len(capsys.readouterr().out.splitlines()) <= 50


def test_boards_lists_every_board_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("boards", "--json") == 0
    assert [board["key"] for board in json.loads(capsys.readouterr().out)] == list(Board.keys())


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    import mcunas

    assert run("--version") == 0
    assert capsys.readouterr().out == f"mcunas {mcunas.__version__}\n"


@pytest.mark.parametrize(("arguments", "said"), [
    (["frobnicate"], "No such command"),
    (["bords"], "Did you mean 'boards'"),
    (["boards", "--frobnicate"], "No such option"),
    (["compile"], "MODEL.tflite"),
    (["compile", "m.tflite", "--out", "o", "--optimize", "speed"], "'speed' is not one of"),
    (["boards", "mps2-an38"], "did you mean 'mps2-an386'"),
    (["search", "--out", "o", "--method", "difprune"], "did you mean 'diffprune'"),
    (["search", "--out", "o", "--task", "digit"], "did you mean 'digits'"),
    (["search", "--out", "o", "--set", "variant"], "--set 'variant' is not NAME=VALUE; for example: --set variant=soft"),
    (["search", "--out", "o", "--method", "smcp", "--set", "varient=hard"], "no setting 'varient'; did you mean 'variant'"),
])
def test_a_wrong_command_line_is_one_line_and_exit_2(arguments: list[str], said: str,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.startswith("error: ") and error.count("\n") == 1 and said in error


def test_an_internal_error_is_one_line_and_debug_shows_the_trace(monkeypatch: pytest.MonkeyPatch,
                                                                 capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise RuntimeError("a\nb")

    monkeypatch.setattr(Board, "keys", staticmethod(fail))
    assert run("boards") == 70
    assert capsys.readouterr().err.startswith("error: internal: RuntimeError: a b; ")
    with pytest.raises(RuntimeError):
        main(["boards", "--debug"])


@pytest.mark.parametrize("arguments", ["boards", "boards --json", "--version"])
def test_a_closed_pipe_is_not_an_error(arguments: str) -> None:
    done = subprocess.run(f"'{sys.executable}' -m mcunas {arguments} | true; echo ${{PIPESTATUS[0]}}", shell=True,
                          executable="/bin/bash", capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_full_disk_behind_stdout_is_one_line_and_a_missing_stdout_nothing() -> None:
    verb = f"'{sys.executable}' -m mcunas boards microbit --json"
    done = subprocess.run(f"{verb} >/dev/full; echo $?; {verb} >&-; echo $?", shell=True, capture_output=True, text=True)
    assert done.stdout == "2\n0\n" and "No space left on device" in done.stderr and done.stderr.count("\n") == 1


def test_a_terminal_that_lacks_a_character_is_not_an_error() -> None:
    script = "from mcunas.cli import app, main\napp.command('say')(lambda: print('–'))\nmain(['say'])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                          env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "?\n", "")


def test_termination_ends_a_verb_like_an_interruption() -> None:
    script = ("import os, signal, tempfile\nfrom mcunas.board import Board\nfrom mcunas.cli import main\n"
              "def keys():\n  with tempfile.TemporaryDirectory() as folder:\n    print(folder, flush=True)\n"
              "    os.kill(os.getpid(), signal.SIGTERM)\n    signal.pause()\n"
              "Board.keys = staticmethod(keys)\nmain(['boards'])")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "error: interrupted\n") and not Path(done.stdout.strip()).exists()
