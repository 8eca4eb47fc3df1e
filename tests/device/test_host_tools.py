# SPDX-License-Identifier: Apache-2.0
"""What is compiled for the host: by the compiler that CC names, kept where it can be, whatever the folders are called."""
from __future__ import annotations

from pathlib import Path

import pytest

from mcunas import api
from mcunas.device import counts, toolchain
from mcunas.device.profile import executed
from mcunas.errors import ToolMissing
from tests.small_models import dense


def test_cc_may_have_options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CC", "gcc -O1")
    assert counts.plugin().is_relative_to(tmp_path)
    monkeypatch.setenv("CC", "no-such-compiler -O1")
    with pytest.raises(ToolMissing, match="CC names 'no-such-compiler', which is no program; let CC name"):
        counts.plugin()


def test_a_compiler_for_another_machine_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CC", "arm-none-eabi-gcc")
    with pytest.raises(ToolMissing, match="arm-none-eabi-gcc does not compile the counting plugin: .*; let CC name this"):
        counts.plugin()


def test_a_cache_that_cannot_be_written_is_done_without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    folder = toolchain.host_folder()
    assert folder.is_dir() and folder == toolchain.host_folder() and not folder.is_relative_to(tmp_path)


def test_folders_of_any_name_hold_cache_and_temporary_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    image = api.build(dense(8, 4), "mps2-an386", tmp_path / "an, image")
    for variable, name in (("XDG_CACHE_HOME", "c,d=1 'e\""), ("TMPDIR", "t,u=1 'v\"")):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / name))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert executed(image)[0] > 0
