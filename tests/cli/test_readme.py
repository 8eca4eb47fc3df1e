# SPDX-License-Identifier: Apache-2.0
"""The README shows what is there: its board can be loaded, its verbs are the verbs, its Python names exist."""
from __future__ import annotations

import re
from pathlib import Path

import pytest

import mcunas
from mcunas.board import Board
from mcunas.cli.app import app

README = (Path(__file__).parents[2] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_board_shown_is_a_board(tmp_path: Path) -> None:
    (tmp_path / "shown.toml").write_text(blocks("toml")[0])
    assert Board.load(tmp_path / "shown.toml").memories == Board.load("mps2-an386").memories


def test_every_verb_is_shown_and_no_other() -> None:
    shown = {line.split()[1] for block in blocks("sh") for line in block.splitlines() if line.startswith("mcunas ")}
    assert shown | {"quickstart"} == {command.name for command in app.registered_commands}


@pytest.mark.parametrize("name", sorted(set(re.findall(r"(?<!from )mcunas\.([a-zA-Z]+)\(?", "".join(blocks("python"))))))
def test_the_python_names_shown_are_public(name: str) -> None:
    assert name in mcunas.__all__


def test_make_targets_shown_exist() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    lines = re.findall(r"^make (.*?)(?:#.*)?$", README, re.MULTILINE)
    words = {word for line in lines for word in line.split() if "=" not in word}
    assert words and all(re.search(rf"^{word}:", makefile, re.MULTILINE) for word in words)
