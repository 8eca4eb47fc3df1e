# SPDX-License-Identifier: Apache-2.0
"""Files that exist whole or not at all: written beside their name, flushed to the disk, then renamed over it."""
from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from mcunas.errors import InputError

_UNFINISHED = ".part"


def write_file(path: Path, content: str | bytes) -> None:
    """Write one file. After a crash or a full disk the old content, or none, is there; never half. Text is UTF-8, with a
    question mark for what is none (names of files need not be). Raises OSError."""
    data = content.encode(errors="replace") if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    with errors_naming(path):
        handle, temporary = tempfile.mkstemp(_UNFINISHED, f".{path.name}.", path.parent)
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


@contextmanager
def own_folder(folder: Path) -> Iterator[None]:
    """Inside, this process and no other writes files there; what a killed one left unfinished is removed. A folder that was
    made for it goes when nothing came of it.

    Raises OSError that names the folder, InputError when another process is at work there.
    """
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    try:
        with alone(folder, folder):
            for left in folder.glob(f".*{_UNFINISHED}"):
                left.unlink(missing_ok=True)
            yield
    finally:
        if is_new and not any(folder.iterdir()):
            folder.rmdir()


@contextmanager
def alone(path: Path, where: Path) -> Iterator[None]:
    """Holds the lock of `path`, a file or a folder; killed processes leave it. Raises InputError when another one has it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):         # of a file system without locks
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError("another process is at work here", where=str(where),
                                 fix="wait for it, or choose another out folder") from None
        yield
    finally:
        os.close(handle)


@contextmanager
def errors_naming(path: Path) -> Iterator[None]:
    """An OSError inside names `path`: that of a write to an open file names nothing, that of a rename names our own file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _umask() -> int:
    mask = os.umask(0o022)      # it can only be read by setting it
    os.umask(mask)
    return mask


_UMASK = _umask()
