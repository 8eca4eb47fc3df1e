# SPDX-License-Identifier: Apache-2.0
"""What others give is data: nothing of it is unpickled, evaluated, handed to a shell, or unpacked to where it says."""
from __future__ import annotations

import ast
import gzip
import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import mcunas
from mcunas.cli import main
from mcunas.errors import InputError
from mcunas.graph import write_tflite
from mcunas.tasks import store
from tests.cli.test_make import checkout  # noqa: F401
from tests.small_models import dense

ROOT = Path(mcunas.__file__).parent
IMPORTS = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "telnetlib", "xmlrpc"}
CALLS = {"eval", "exec", "os.system", "os.popen", "tempfile.mktemp", "yaml.load", "joblib.load", "pd.read_pickle"}
METHODS = {"extractall", "extract"}         # of archives
NASTY = ("a b.tflite", "it's `touch hacked`;touch hacked;#.tflite", 'a"&touch hacked|touch hacked".tflite')


def calls(module: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def option(call: ast.Call, name: str) -> object:
    return next((ast.literal_eval(word.value) for word in call.keywords if word.arg == name), None)


def dangers(module: Path) -> Iterator[str]:
    """What a module does that data could misuse."""
    for node in ast.walk(ast.parse(module.read_text())):
        names = [name.name for name in node.names] if isinstance(node, ast.Import) else [
            node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (f"imports {name}" for name in names if name.split(".")[0] in IMPORTS)
    for name, call in calls(module):
        if name in CALLS:
            yield name
        if name.endswith("torch.load") and option(call, "weights_only") is not True:
            yield "torch.load without weights_only"
        if name.rpartition(".")[2] == "load" and option(call, "allow_pickle"):
            yield "pickles in arrays"
        if name.startswith("subprocess.") and any(word.arg == "shell" for word in call.keywords):
            yield "a shell"
        if name.rpartition(".")[2] in METHODS and name.rpartition(".")[0] in ("tar", "archive", "zip", "file"):
            yield f"unpacks an archive: {name}"


def test_nothing_unpickles_evaluates_or_starts_a_shell() -> None:
    found = {str(path.relative_to(ROOT)): list(dangers(path)) for path in ROOT.rglob("*.py")}
    assert {path: said for path, said in found.items() if said} == {}


def test_the_scan_sees_what_it_looks_for(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text("import pickle\nimport torch, subprocess, numpy as np\ntorch.load('x')\neval('1')\n"
                                   "subprocess.run('x', shell=True)\nnp.load('x', allow_pickle=True)\ntar.extractall()\n")
    assert len(list(dangers(tmp_path / "m.py"))) == 6


@pytest.mark.parametrize("name", NASTY)
def test_a_models_name_is_only_a_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(write_tflite(dense(8, 4)))
    with pytest.raises(SystemExit) as leave:
        main(["build", name, "--board", "mps2-an386", "--out", f"out {name}"])
    assert leave.value.code == 0 and (Path(f"out {name}") / "firmware.elf").exists() and not Path("hacked").exists()


@pytest.mark.parametrize("name", NASTY)
def test_make_hands_names_on_whole(name: str, checkout: Path) -> None:      # noqa: F811
    python = checkout / ".venv/bin/python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > said\n')
    python.chmod(0o755)
    done = subprocess.run(["make", "-o", "tools", "compile", f"MODEL={name}", f"OUT=run {name}", "ENGINE=;touch hacked"],
                          cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = (checkout / "said").read_text().splitlines()
    assert name in said and f"run {name}/c" in said and not (checkout / "hacked").exists()


@pytest.mark.parametrize("name", ["x'; touch hacked; '", "x`touch hacked`", '"; touch hacked; "'])
def test_a_boards_name_runs_nothing(name: str, checkout: Path) -> None:     # noqa: F811
    done = subprocess.run(["make", f"BOARD={name}", "boards"], cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 2 and "unknown board" in done.stderr and not (checkout / "hacked").exists()


def test_an_archive_is_read_in_memory_by_the_last_part_of_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, kind in (("../../escaped", tarfile.REGTYPE), ("link", tarfile.SYMTYPE), ("device", tarfile.CHRTYPE)):
            member = tarfile.TarInfo(f"top/{name}")
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
    assert store.members(buffer.getvalue(), lambda path: True, "here") == {"escaped": b""}
    assert list(tmp_path.parent.glob("escaped")) == [] and list(tmp_path.iterdir()) == []


def test_an_archive_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_BYTES", 100_000)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in "ab":
            member = tarfile.TarInfo(f"top/{name}")
            member.size = 60_000
            tar.addfile(member, io.BytesIO(bytes(60_000)))
    assert len(buffer.getvalue()) < 2000
    with pytest.raises(InputError, match="unpacks to more than"):
        store.members(buffer.getvalue(), lambda path: True, "here")


def test_a_download_of_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_BYTES", 1000)
    (tmp_path / "data").write_bytes(bytes(2000))
    with pytest.raises(InputError, match="is larger than"):
        store.download([(tmp_path / "data").as_uri()], "data")


HUGE = b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000,), }".ljust(118)


@pytest.mark.parametrize("content", [
    b"", b"\x93NUMPY", HUGE,
    gzip.compress(b"x"), b"PK\x03\x04" + bytes(40),
], ids=["empty", "cut", "10 TB", "gzip", "zip"])
def test_a_file_that_is_no_array_is_a_line(content: bytes, tmp_path: Path) -> None:
    from mcunas.api import load_array

    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(InputError):
        load_array(tmp_path / "a.npy")


def test_an_array_of_objects_is_not_unpickled(tmp_path: Path) -> None:
    from mcunas.api import load_array

    class Trap:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "hacked"),)

    np.save(tmp_path / "a.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(InputError):
        load_array(tmp_path / "a.npy")
    assert not (tmp_path / "hacked").exists()
