# SPDX-License-Identifier: Apache-2.0
"""Where data sets come from: $MCUNAS_DATA, else the user's cache, else a download that is checked before it is kept.

MCUNAS_DATA names a folder that holds one folder per data set. Nothing is ever written there.
"""
from __future__ import annotations

import hashlib
import io
import os
import tarfile
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mcunas.atomic import write_file
from mcunas.errors import InputError
from mcunas.paths import cache_dir

TIMEOUT_S = 60
MOST_BYTES = 1 << 30        # of a download, and of what an archive holds


def provided(name: str) -> Path | None:
    """$MCUNAS_DATA/name where that exists."""
    folder = os.environ.get("MCUNAS_DATA", "")
    path = Path(folder) / name
    return path if folder and path.exists() else None


def obtain(name: str, fetch: Callable[[], bytes]) -> Path:
    """The file `name` ("data set/file"): provided, cached, or made by `fetch` and then cached whole.

    Raises InputError when it is nowhere and `fetch` cannot get it, or when the cache cannot be written.
    """
    found = provided(name)
    cached = cache_dir() / "data" / name
    if found or cached.exists():
        return found or cached
    content = fetch()
    try:
        write_file(cached, content)
    except OSError as error:
        raise InputError(f"cannot keep the data set ({error.strerror})", where=str(cached),
                         fix="make room, or set XDG_CACHE_HOME") from None
    return cached


def download(urls: Sequence[str], name: str) -> bytes:
    """The bytes behind the first of `urls` that answers. Raises InputError naming the last failure."""
    failure = ""
    for url in urls:
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
                content = answer.read(MOST_BYTES + 1)
                if len(content) > MOST_BYTES:
                    raise InputError(f"is larger than {MOST_BYTES >> 20} MiB", url)
                return content
        except (OSError, ValueError) as error:      # URLError is an OSError; ValueError is a malformed address
            failure = str(getattr(error, "reason", error) or type(error).__name__)
    raise InputError(f"cannot download the data set ({failure})", where=urls[-1],
                     fix=f"set MCUNAS_DATA to a folder that holds {name}, or connect this machine")


def demand_sha256(found: str, wanted: str, where: str) -> None:
    """Raises InputError when the digests differ."""
    if found != wanted:
        raise InputError(f"its SHA-256 is {found[:16]}..., not {wanted[:16]}...", where=where,
                         fix="it is damaged or another version: remove it and try again")


def members(archive: bytes, wanted: Callable[[str], bool], where: str) -> dict[str, bytes]:
    """file name -> content of a .tar.gz's members whose path (less the top folder) is wanted. Raises InputError."""
    found, left = {}, MOST_BYTES
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            for member in tar:
                path = member.name.partition("/")[2]
                left -= member.size
                if left < 0:
                    raise InputError(f"it unpacks to more than {MOST_BYTES >> 20} MiB", where=where)
                if member.isfile() and wanted(path):
                    found[Path(path).name] = tar.extractfile(member).read()     # type: ignore[union-attr]   # a file has content
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InputError(f"not a whole .tar.gz ({type(error).__name__})", where=where, fix="try again") from None
    return found


def digest(parts: Iterable[bytes]) -> str:
    """SHA-256 over the lengths and contents of `parts`, in order."""
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "little"))
        total.update(part)
    return total.hexdigest()
