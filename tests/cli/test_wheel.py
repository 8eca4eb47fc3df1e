# SPDX-License-Identifier: Apache-2.0
"""The wheel carries boards and firmware, and works away from the checkout."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mcunas.board import Board

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the unpacked wheel, as site-packages would have it."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
                    "--wheel-dir", str(folder), str(ROOT)], check=True, capture_output=True)
    zipfile.ZipFile(next(folder.glob("mcunas-*.whl"))).extractall(folder / "site")
    return folder / "site"


def test_the_installed_command_knows_the_boards(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-P", "-m", "mcunas", "boards", "--json"], cwd=tmp_path, text=True,
                          env={**os.environ, "PYTHONPATH": str(installed)}, check=True, capture_output=True)
    assert [board["key"] for board in json.loads(done.stdout)] == list(Board.keys())


def test_the_wheel_holds_every_source_of_the_firmware(installed: Path) -> None:
    packaged = {path.relative_to(installed / "mcunas/_data") for path in (installed / "mcunas/_data").rglob("*.[ch]")}
    assert packaged == {path.relative_to(ROOT) for path in (ROOT / "firmware").rglob("*.[ch]")}


def test_the_wheel_declares_the_command_and_the_licence(installed: Path) -> None:
    info = next(installed.glob("mcunas-*.dist-info"))
    assert "mcunas = mcunas.cli:main" in (info / "entry_points.txt").read_text()
    assert "License-Expression: Apache-2.0" in (info / "METADATA").read_text()
