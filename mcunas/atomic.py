# SPDX-License-Identifier: Apache-2.0
"""Files that exist whole or not at all: written beside their name, flushed to the disk, then renamed over it."""
from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path


def write_file(path: Path, content: str | bytes) -> None:
    """Write one file. After a crash or a full disk the old content, or none, is there; never half. Raises OSError."""
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_UMASK)      # mkstemp's 0600 is for secrets
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_files(folder: Path, contents: Mapping[str, str | bytes]) -> None:
    """Write several files of one folder, each whole."""
    for name, content in contents.items():
        write_file(folder / name, content)


def _umask() -> int:
    mask = os.umask(0o022)      # it can only be read by setting it
    os.umask(mask)
    return mask


_UMASK = _umask()
