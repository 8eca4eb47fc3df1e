# SPDX-License-Identifier: Apache-2.0
"""The README shows what is there: its board is the board file, its verbs are the verbs, its Python names exist."""
from __future__ import annotations

import re
from pathlib import Path

import pytest

import mcunas
from mcunas.cli.app import app

README = (Path(__file__).parents[2] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_board_shown_is_the_board_file() -> None:
    assert blocks("toml") == [(Path(__file__).parents[2] / "boards/mps2-an386.toml").read_text()]


def test_every_verb_is_shown_and_no_other() -> None:
    shown = {line.split()[1] for block in blocks("sh") for line in block.splitlines() if line.startswith("mcunas ")}
    assert shown | {"quickstart"} == {command.name for command in app.registered_commands}


@pytest.mark.parametrize("name", sorted(set(re.findall(r"mcunas\.([a-zA-Z]+)\(?", "".join(blocks("python"))))))
def test_the_python_names_shown_are_public(name: str) -> None:
    assert name in mcunas.__all__


def test_make_targets_shown_exist() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    words = {w for line in re.findall(r"^make (.*?)(?:#.*)?$", README, re.MULTILINE) for w in line.split() if "=" not in w}
    assert words and all(re.search(rf"^{word}:", makefile, re.MULTILINE) for word in words)
