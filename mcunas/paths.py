# SPDX-License-Identifier: Apache-2.0
"""Where the files that are not Python live: boards/ and firmware/ of a checkout, or their copies inside the package.

An installed wheel carries both under mcunas/_data; a checkout (also an editable install) has them beside mcunas/.
"""
from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _data_dir(name: str) -> Path:
    packaged = _PACKAGE / "_data" / name
    return packaged if packaged.is_dir() else _PACKAGE.parent / name


def boards_dir() -> Path:
    """Folder of the board files (`<key>.toml`) and of `cost/<core>.toml`."""
    return _data_dir("boards")


def firmware_dir() -> Path:
    """Folder with kernels/, platform/ and app/."""
    return _data_dir("firmware")


def cache_dir() -> Path:
    """The user's cache for compiled objects; may be deleted at any time."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "mcunas"


def import_python() -> Path:
    """The Python of the checkout's environment for TensorFlow, which may be absent."""
    return _PACKAGE.parent / ".venv-import" / "bin" / "python"
