# SPDX-License-Identifier: Apache-2.0
"""Data sets: found where MCUNAS_DATA says, downloaded once, checked before they are kept, and refused in one line."""
from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mcunas import tasks
from mcunas.errors import InputError
from mcunas.tasks import fashion_mnist, store

CONTENT = {name: gzip.compress(name.encode()) for name in fashion_mnist.SHA256}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *unused: object) -> None:
        pass


@pytest.fixture
def origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server on this machine in the place of the public origins, its own digests, and an empty cache."""
    folder = tmp_path / "origin"
    folder.mkdir()
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.delenv("MCUNAS_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fashion_mnist, "ORIGINS", (f"{(tmp_path / 'none').as_uri()}/",
                                                   f"http://127.0.0.1:{server.server_port}/"))
    monkeypatch.setattr(fashion_mnist, "SHA256", {n: hashlib.sha256(c).hexdigest() for n, c in CONTENT.items()})
    yield folder
    server.shutdown()


def _obtain(name: str) -> bytes:
    return store.obtain(f"fashion-mnist/{name}", lambda: fashion_mnist._fetch(name)).read_bytes()


def test_a_download_is_kept_and_not_repeated(origin: Path, tmp_path: Path) -> None:
    name = "t10k-labels-idx1-ubyte.gz"
    assert _obtain(name) == CONTENT[name]           # the first origin does not answer, the second does
    (origin / name).unlink()
    assert _obtain(name) == CONTENT[name]
    assert [p.name for p in (tmp_path / "cache/mcunas/data/fashion-mnist").iterdir()] == [name]


def test_a_download_with_another_digest_is_refused_and_not_kept(origin: Path, tmp_path: Path) -> None:
    (origin / "train-labels-idx1-ubyte.gz").write_bytes(b"half a fi")
    with pytest.raises(InputError, match="SHA-256 is .*, not .*; it is damaged") as caught:
        _obtain("train-labels-idx1-ubyte.gz")
    assert caught.value.exit_code == 2
    assert not (tmp_path / "cache").exists()


def test_no_data_and_no_network_is_one_line_that_names_the_way_out(origin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fashion_mnist, "ORIGINS", ("http://127.0.0.1:1/",))
    with pytest.raises(InputError, match="cannot download the data set.*set MCUNAS_DATA to a folder that holds") as caught:
        tasks.load("fashion-mnist")
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2


def test_damaged_provided_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fashion-mnist").mkdir()
    for name, content in CONTENT.items():
        (tmp_path / "fashion-mnist" / name).write_bytes(content)
    monkeypatch.setenv("MCUNAS_DATA", str(tmp_path))
    with pytest.raises(InputError, match="SHA-256"):
        tasks.load("fashion-mnist")
