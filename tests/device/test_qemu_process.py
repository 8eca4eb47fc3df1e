# SPDX-License-Identifier: Apache-2.0
"""The emulator as a process: it ends with us, it cannot hang us, and its own complaints reach the user."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mcunas.board import Board
from mcunas.board_parts import Emulate
from mcunas.device.link import Link
from mcunas.device.qemu import Qemu
from mcunas.errors import CheckFailed, InputError, ToolMissing
from tests.device.stubs import stub
from tests.device.target import booted, built, seeded

BOARD = Board.load("mps2-an386")


def test_the_process_is_gone_afterwards(tmp_path: Path) -> None:
    image = built(stub(), BOARD.key, tmp_path)
    with pytest.raises(KeyboardInterrupt), Qemu(BOARD, image.elf) as qemu:
        pid = qemu._process.pid
        raise KeyboardInterrupt
    with pytest.raises(ProcessLookupError):     # neither running nor a zombie
        os.kill(pid, 0)


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="util-linux is not installed")
def test_the_process_is_gone_when_its_starter_was_killed(tmp_path: Path) -> None:
    image = built(stub(), BOARD.key, tmp_path)
    program = ("import sys, time\nfrom pathlib import Path\nfrom mcunas.board import Board\n"
               "from mcunas.device.qemu import Qemu\n"
               f"with Qemu(Board.load('{BOARD.key}'), Path(sys.argv[1])) as qemu:\n"
               "    qemu.read(60)\n    print(qemu._process.pid, flush=True)\n    time.sleep(600)\n")
    starter = subprocess.Popen([sys.executable, "-c", program, str(image.elf)], stdout=subprocess.PIPE)
    state = Path("/proc") / starter.stdout.readline().decode().strip() / "stat"
    starter.kill()
    starter.wait()
    until = time.monotonic() + 60
    while is_running(state) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_running(state)


def is_running(stat: Path) -> bool:
    """Not for a zombie that nobody has waited for."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_firmware_that_hangs_is_given_up(tmp_path: Path) -> None:
    with booted(stub("arena[0] = 1; for (;;) {\n}")) as link:
        seeded(link)
        with pytest.raises(CheckFailed, match=r"did not answer 'infer' within 0.2 s"):
            link.command("infer 1", timeout_s=0.2)


def test_a_firmware_that_does_not_read_is_given_up(tmp_path: Path) -> None:
    image = built(stub("arena[0] = 1; for (;;) {\n}"), BOARD.key, tmp_path)
    with Qemu(BOARD, image.elf) as qemu:
        link = Link(qemu)
        link.wait_for_boot()
        seeded(link)
        qemu.write(b"infer 1%", 1)
        with pytest.raises(CheckFailed, match="took .* bytes in 0.2 s"):
            qemu.write(bytes(1 << 20), 0.2)


def test_what_qemu_says_reaches_the_user(tmp_path: Path) -> None:
    board = replace(BOARD, emulate=Emulate("no-such-machine", 6))
    with pytest.raises(CheckFailed, match=r"QEMU ended with status 1: .*unsupported machine type"), \
            Qemu(board, tmp_path / "none.elf") as qemu:
        Link(qemu).wait_for_boot()


def test_a_board_without_emulator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no emulator"):
        Qemu(replace(BOARD, emulate=None), tmp_path / "none.elf")


def test_a_missing_emulator_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match="apt-get install qemu-system-arm"):
        Qemu(BOARD, tmp_path / "none.elf")
