# SPDX-License-Identifier: Apache-2.0
"""Flashing: pyOCD's own machinery on a simulated probe and chip, other programs' command lines and messages, volumes; and
every way that it goes wrong, in one line."""
from __future__ import annotations

import json
import os
import shutil
import stat
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from mcunas.board import Board
from mcunas.cli import main
from mcunas.device import flash as package
from mcunas.device import ports
from mcunas.device.build import Image
from mcunas.device.flash import flash, pyocd_tool, volumes
from mcunas.device.flash.uf2 import parse
from mcunas.errors import CheckFailed, InputError, McunasError, ToolMissing
from tests.device.stubs import stub
from tests.device.target import built

pytest.importorskip("unicorn", reason="unicorn is not installed")
pytest.importorskip("pyocd", reason="pyocd is not installed")

from tests.device.sim_probe import Nrf51, SimProbe


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Image]:
    return {key: built(stub(), key, tmp_path_factory.mktemp(key)) for key in ("microbit", "pico", "nucleo-l4r5zi")}


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> list[SimProbe]:
    connected: list[SimProbe] = []
    monkeypatch.setattr(pyocd_tool, "probes", lambda: connected)
    return connected


def test_pyocd_erases_programs_and_reads_back(images, probes) -> None:
    chip = Nrf51()
    chip.core.mem_write(0, bytes(range(256)) * 64)
    probes.append(SimProbe(chip))
    done = flash(images["microbit"])
    binary = images["microbit"].bin.read_bytes()
    assert (done.tool, done.target, done.size_bytes, done.verified) == ("pyocd", "9900SIM", len(binary), "read back")
    assert chip.flash(0, len(binary)) == binary


def test_another_chip_is_refused_before_anything_is_written(images, probes) -> None:
    chip = Nrf51(code_size=0x80)
    probes.append(SimProbe(chip))
    with pytest.raises(CheckFailed, match="another chip: 0x80 at 0x10000014, a nRF51822 has 0x100"):
        flash(images["microbit"])
    assert chip.programmed == 0 and chip.flash(0, 4096) == b"\xFF" * 4096


def test_a_byte_that_did_not_take_is_found(images, probes) -> None:
    probes.append(SimProbe(Nrf51(stuck=0x123)))
    with pytest.raises(CheckFailed, match="0x00000123|programming failed"):
        flash(images["microbit"])


def test_a_probe_unplugged_in_the_middle_is_said(images, probes) -> None:
    probes.append(SimProbe(Nrf51(fails_after=100)))
    with pytest.raises(CheckFailed, match="probe was unplugged|cannot reach"):
        flash(images["microbit"])


def test_several_probes_want_a_name_and_a_beginning_is_enough(images, probes) -> None:
    probes += [SimProbe(Nrf51(), "AAAA1"), SimProbe(Nrf51(), "BBBB2")]
    with pytest.raises(InputError, match=r"several probes are connected; name one, PROBE=serial: AAAA1 .*BBBB2"):
        flash(images["microbit"], tool="pyocd")
    with pytest.raises(InputError, match="no probe has the serial number 'CC'; connected: AAAA1"):
        flash(images["microbit"], tool="pyocd", probe="CC")
    assert flash(images["microbit"], tool="pyocd", probe="bbbb").target == "BBBB2"


def test_a_missing_pack_a_missing_permission_and_a_missing_library_say_what_to_do() -> None:
    from pyocd.core import exceptions

    board = Board.load("nucleo-l4r5zi")
    for raised, expected, text in (
            (exceptions.TargetSupportError("x"), ToolMissing, "pyocd pack install stm32l4r5zitx"),
            (OSError("[Errno 13] Access denied (insufficient permissions)"), InputError, "udev"),
            (ValueError("No backend available"), ToolMissing, "apt-get install libusb-1.0-0"),
            (exceptions.TransferFaultError(), CheckFailed, "cannot reach the chip")):
        with pytest.raises(expected, match=text):
            with pyocd_tool._translated(board):
                raise raised


def test_a_target_that_pyocd_does_not_know_names_its_pack(images, probes) -> None:
    probes.append(SimProbe(Nrf51()))
    image = images["nucleo-l4r5zi"]
    with pytest.raises(ToolMissing, match="pyocd pack install stm32l4r5zitx"):
        flash(image, tool="pyocd")


def fake(folder: Path, name: str, says: str = "", status: int = 0) -> None:
    """A program that notes its arguments and says something."""
    path = folder / name
    path.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$(basename $0)\" \"$@\" >> {folder}/calls\n"
                    f"cat <<'END'\n{says}\nEND\nexit {status}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


def test_openocd_checks_programs_verifies_and_resets_in_one_run(images, tools) -> None:
    fake(tools, "openocd", "** Verified OK **")
    image = images["nucleo-l4r5zi"]
    assert flash(image, tool="openocd", probe="0669FF").verified == "by openocd"
    said = calls(tools)
    assert said[:7] == ["openocd", "-f", "board/st_nucleo_l4.cfg", "-c", "adapter serial {0669FF}", "-c", "init"]
    assert "read_memory 0xe0042000 32 1" in said[10] and "& 0xfff) != 0x470" in said[10]
    assert said[-1] == f"program {{{image.elf}}} verify reset exit"


def test_openocd_on_another_chip_stops_before_programming(images, tools) -> None:
    fake(tools, "openocd", "mcunas: wrong chip 0x10006421", 1)
    with pytest.raises(CheckFailed, match="another chip: 0x421 at 0xe0042000, a STM32L4R5ZI has 0x470"):
        flash(images["nucleo-l4r5zi"], tool="openocd")


def test_probe_rs_reads_the_id_then_downloads_with_verification(images, tools) -> None:
    fake(tools, "probe-rs", "20006470")
    flash(images["nucleo-l4r5zi"], tool="probe-rs", probe="0483:374b")
    said = " ".join(calls(tools))
    assert "probe-rs read --chip STM32L4R5ZITx --non-interactive --probe 0483:374b b32 0xe0042000 1" in said
    which = "--chip STM32L4R5ZITx --non-interactive --probe 0483:374b"
    assert f"download {which} --verify {images['nucleo-l4r5zi'].elf}" in said
    fake(tools, "probe-rs", "20006415")
    with pytest.raises(CheckFailed, match="another chip: 0x415"):
        flash(images["nucleo-l4r5zi"], tool="probe-rs")


def test_st_flash_writes_where_the_flash_is_after_st_info_agreed(images, tools) -> None:
    fake(tools, "st-flash")
    fake(tools, "st-info", "Found 1 stlink programmers\n  serial:     0669FF\n  flash: 2097152\n  chipid:     0x470")
    flash(images["nucleo-l4r5zi"], tool="st-flash")
    assert calls(tools)[-4:] == ["--reset", "write", str(images["nucleo-l4r5zi"].bin), "0x8000000"]
    fake(tools, "st-info", "  serial: 1\n  chipid: 0x421")
    with pytest.raises(CheckFailed, match="another chip: 0x421"):
        flash(images["nucleo-l4r5zi"], tool="st-flash")


def test_st_flash_writes_nothing_where_nobody_tells_the_chip(images, tools) -> None:
    fake(tools, "st-flash")
    with pytest.raises(ToolMissing, match=r"st-info is not installed \(on Debian: apt-get install stlink-tools\)"):
        flash(images["nucleo-l4r5zi"], tool="st-flash")
    fake(tools, "st-info", "Found 0 stlink programmers")
    with pytest.raises(ToolMissing, match="no debug probe is connected"):
        flash(images["nucleo-l4r5zi"], tool="st-flash")
    assert calls(tools)[0] == "st-info" and "st-flash" not in calls(tools)


@pytest.mark.skipif(shutil.which("openocd") is None, reason="openocd is not installed")
def test_openocd_takes_every_boards_configuration_as_far_as_a_probe_that_is_not_there(images) -> None:
    for board in map(Board.load, Board.keys()):
        if board.flashing and board.flashing.openocd:
            with pytest.raises(ToolMissing, match=f"^{board.key}: .*openocd: no debug probe is connected"):
                flash(replace(images["microbit"], board=board), tool="openocd", probe="999999999")


@pytest.mark.parametrize("key", [key for key in Board.keys() if Board.load(key).flashing])
def test_every_tool_of_a_board_gets_what_the_board_file_says(key: str, images, tools) -> None:
    from pyocd.target import TARGET

    board = Board.load(key)
    how, chip = board.flashing, board.flashing.chip_id
    assert "pyocd" not in how.tools or how.pyocd in TARGET or how.pack
    assert "uf2" not in how.tools or how.uf2_family and how.volume
    fake(tools, "openocd")
    fake(tools, "probe-rs", f"{chip.value:08x}")
    fake(tools, "st-flash")
    fake(tools, "st-info", f"  serial: 1\n  chipid: {chip.value:#x}")
    expected = {"openocd": (*how.openocd, f"{chip.address:#x} 32 1"), "probe-rs": (how.probe_rs, f"{chip.address:#x}"),
                "st-flash": (f"{board.flash.origin:#x}",)}
    for tool in expected.keys() & set(how.tools):
        (tools / "calls").write_text("")
        flash(replace(images["microbit"], board=board), tool=tool)
        assert all(any(word in said for said in calls(tools)) for word in expected[tool])


def test_probes_and_ports_are_listed_by_serial_with_the_boards_they_may_be(probes, monkeypatch, capsys) -> None:
    port = SimpleNamespace(device="/dev/ttyACM0", vid=0x0483, pid=0x374B, serial_number="0669FF")
    monkeypatch.setattr(pyocd_tool, "probes", lambda: [SimpleNamespace(unique_id="0669FF", description="STM32 STLink")])
    monkeypatch.setattr(ports, "usb_ports", lambda: [port])
    with pytest.raises(SystemExit) as leave:
        main(["flash", "--list", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert leave.value.code == 0 and found["probes"] == [{"serial": "0669FF", "name": "STM32 STLink"}]
    assert "nucleo-l4r5zi" in found["ports"][0]["boards"] and "pico" not in found["ports"][0]["boards"]


# What the programs print, as their users quote it.
@pytest.mark.parametrize(("says", "error", "text"), [
    ("libusb_open() failed with LIBUSB_ERROR_ACCESS", InputError, "may not open it; allow it: put SUBSYSTEM"),
    ("Error: open failed", ToolMissing, "no debug probe is connected"),
    ("embedded:startup.tcl:26: Error: Can't find board/st_nucleo_l4.cfg", ToolMissing, "lacks a configuration file"),
    ("Error: checksum mismatch - attempting binary compare\n** Verify Failed **", CheckFailed, "other bytes than were sent"),
    ("Error: init mode failed (unable to connect to the target)", CheckFailed, "cannot reach the chip"),
    ("Error: something else\nmore", CheckFailed, "openocd failed: Error: something else"),
])
def test_what_a_program_says_becomes_a_line(says: str, error: type[McunasError], text: str, images, tools) -> None:
    fake(tools, "openocd", says, 1)
    with pytest.raises(error, match=text):
        flash(images["nucleo-l4r5zi"], tool="openocd")


def taker(folder: Path, name: str, kept: list[bytes], leaves: str | None = None) -> threading.Thread:
    """A boot loader: takes the file away when it is whole."""
    def work() -> None:
        path = folder / name
        for _ in range(3000):
            if path.exists() and path.stat().st_size:
                time.sleep(0.1)
                kept.append(path.read_bytes())
                if leaves:
                    (folder / "FAIL.TXT").write_text(leaves)
                path.unlink()
                return
            time.sleep(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_pico_takes_a_uf2_that_holds_the_image(images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volumes, "MOUNTS", (str(tmp_path),))
    folder, kept = tmp_path / "RPI-RP2", []
    folder.mkdir()
    (folder / "INFO_UF2.TXT").write_text("UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n")
    thread = taker(folder, "firmware.uf2", kept)
    done = flash(images["pico"])
    thread.join()
    address, family, data = parse(kept[0])
    binary = images["pico"].bin.read_bytes()
    assert (done.tool, address, family) == ("uf2", 0x10000000, 0xE48BFF56)
    assert data[:len(binary)] == binary and not any(data[len(binary):]) and len(data) % 256 == 0
    (folder / "INFO_UF2.TXT").write_text("Board-ID: RP2350\n")
    with pytest.raises(CheckFailed, match="belongs to 'RP2350', not to a RP2040"):
        flash(images["pico"], tool="uf2")


def test_a_volume_is_found_once_where_no_user_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("USER", raising=False)
    monkeypatch.setattr(volumes, "MOUNTS", (f"{tmp_path}/{{user}}", str(tmp_path)))
    (tmp_path / "RPI-RP2").mkdir()
    assert volumes._find(Board.load("pico"), None, "") == tmp_path / "RPI-RP2"


def test_daplink_takes_a_hex_and_its_refusal_is_passed_on(images, tmp_path: Path) -> None:
    kept: list[bytes] = []
    (tmp_path / "DETAILS.TXT").write_text("Unique ID: 9900000031864e45\n")
    thread = taker(tmp_path, "firmware.hex", kept)
    flash(images["microbit"], tool="daplink", probe=str(tmp_path))
    thread.join()
    assert kept == [images["microbit"].hex.read_bytes()]
    thread = taker(tmp_path, "firmware.hex", kept, "error: The hex file cannot be decoded\ntype: user")
    with pytest.raises(CheckFailed, match="DAPLink refused it: error: The hex file cannot be decoded"):
        flash(images["microbit"], tool="daplink", probe=str(tmp_path))
    thread.join()
    (tmp_path / "DETAILS.TXT").write_text("Unique ID: 9904000031864e45\n")
    with pytest.raises(CheckFailed, match=r"belongs to a micro:bit v2 \(nrf52833\)"):
        flash(images["microbit"], tool="daplink", probe=str(tmp_path))


def test_a_volume_that_does_not_take_the_file_is_said(images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volumes, "_GONE_S", 0.2)
    with pytest.raises(CheckFailed, match="did not take the file"):
        flash(images["microbit"], tool="daplink", probe=str(tmp_path))


def test_with_nothing_installed_every_way_is_named(images, probes, tools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volumes, "MOUNTS", ())
    monkeypatch.setenv("PATH", str(tools))
    every = "uf2: no volume RPI-RP2 is mounted .*BOOTSEL.*pyocd: no debug probe.*openocd is not"
    with pytest.raises(ToolMissing, match=every):
        flash(images["pico"])


def test_tools_are_tried_in_the_boards_order_and_wrong_ones_refused(images, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def missing(name: str):
        def attempt(image: Image, probe: str | None) -> None:
            tried.append(name)
            raise ToolMissing("not here")
        return attempt

    monkeypatch.setattr(package, "flasher", missing)
    for key, image in images.items():
        tried.clear()
        with pytest.raises(ToolMissing):
            flash(image)
        assert tuple(tried) == Board.load(key).flashing.tools
    with pytest.raises(InputError, match="unknown flash tool 'pyocf'; did you mean 'pyocd'"):
        flash(images["pico"], tool="pyocf")
    with pytest.raises(InputError, match="st-flash does not flash this board; use uf2 or pyocd"):
        flash(images["pico"], tool="st-flash")
    with pytest.raises(InputError, match="cannot be flashed; it runs in QEMU"):
        flash(replace(images["pico"], board=Board.load("mps2-an386")))


def test_the_programs_are_run_without_a_shell(images, tools) -> None:
    fake(tools, "openocd")
    flash(images["nucleo-l4r5zi"], tool="openocd", probe="; touch owned")
    assert not (Path(os.getcwd()) / "owned").exists() and "adapter serial {; touch owned}" in calls(tools)
