# SPDX-License-Identifier: Apache-2.0
"""Flashing through programs of others: OpenOCD, probe-rs, st-flash. Each checks the chip, programs, verifies, resets."""
from __future__ import annotations

import re
import shutil
import subprocess

from mcunas.device.build import Image
from mcunas.device.flash import Flashed
from mcunas.device.flash.chip_id import demand_chip
from mcunas.device.flash.pyocd_tool import UDEV_FIX
from mcunas.errors import CheckFailed, InputError, ToolMissing

_INSTALL = {"openocd": "on Debian: apt-get install openocd", "st-flash": "on Debian: apt-get install stlink-tools",
            "probe-rs": "see https://probe.rs for its installer"}
_TIMEOUT_S = 180
_WRONG_CHIP = "mcunas: wrong chip"
# What the programs say -> what it means. The first that matches decides.
_MEANINGS = (
    (r"LIBUSB_ERROR_ACCESS|Access denied|[Pp]ermission denied|insufficient permissions", InputError,
     "the probe is there, but this user may not open it", UDEV_FIX),
    (r"unable to find a matching CMSIS-DAP|open failed|No (debug )?probes? (was|were) found|No probe found|"
     r"Couldn't find any ST-Link|no stlink|LIBUSB_ERROR_NO_DEVICE|unable to open ftdi|No J-Link", ToolMissing,
     "no debug probe is connected", "plug the board's probe in"),
    (r"Can't find \S+\.cfg", ToolMissing, "this OpenOCD lacks a configuration file of the board", "install a newer one"),
    (r"[Vv]erif\w* (failed|error)|checksum mismatch|contents differ", CheckFailed,
     "the flash holds other bytes than were sent", "flash it again"),
    (r"init mode failed|unable to connect to the target|Error connecting DP|cannot read IDR", CheckFailed,
     "the probe cannot reach the chip", "check the cable and the board's supply"),
)


def flash_by(name: str, image: Image, probe: str | None) -> Flashed:
    """See `flash`. name: "openocd", "probe-rs" or "st-flash"."""
    program = shutil.which(name)
    if program is None:
        raise ToolMissing(f"{name} is not installed", fix=_INSTALL[name])
    {"openocd": _openocd, "probe-rs": _probe_rs, "st-flash": _st_flash}[name](program, image, probe)
    return Flashed(name, probe or "the only probe", len(image.bin.read_bytes()), f"by {name}")


def _openocd(program: str, image: Image, probe: str | None) -> None:
    flashing = image.board.flashing
    assert flashing is not None
    if re.search(r"[{}\\]", f"{image.elf}{probe or ''}"):      # they would end the braces of a Tcl word
        raise InputError("OpenOCD takes no braces and no backslash in a name", str(image.elf), "build into another folder")
    commands = ["init", "reset halt"]
    if chip := flashing.chip_id:
        commands.append(f"set word [lindex [read_memory {chip.address:#x} 32 1] 0]; if {{($word & {chip.mask:#x}) != "
                        f"{chip.value:#x}}} {{echo \"{_WRONG_CHIP} $word\"; shutdown error}}")
    commands.append(f"program {{{image.elf}}} verify reset exit")
    serial = ["-c", f"adapter serial {{{probe}}}"] if probe else []
    configs = [word for name in flashing.openocd for word in ("-f", name)]
    said = _run([program, *configs, *serial, *(word for command in commands for word in ("-c", command))], image)
    if match := re.search(rf"{_WRONG_CHIP} (\w+)", said):
        demand_chip(image.board, int(match[1], 0))


def _probe_rs(program: str, image: Image, probe: str | None) -> None:
    flashing = image.board.flashing
    assert flashing is not None
    which = ["--chip", flashing.probe_rs, "--non-interactive", *(("--probe", probe) if probe else ())]
    if chip := flashing.chip_id:
        said = _run([program, "read", *which, "b32", f"{chip.address:#x}", "1"], image)
        if (match := re.search(r"\b([0-9a-fA-F]{8})\s*$", said.strip())) is None:
            raise CheckFailed(f"probe-rs did not tell the chip's id: {said.strip()[-80:]!r}", image.board.key)
        demand_chip(image.board, int(match[1], 16))
    _run([program, "download", *which, "--verify", str(image.elf)], image)
    _run([program, "reset", *which], image)


def _st_flash(program: str, image: Image, probe: str | None) -> None:
    if image.board.flashing.chip_id:
        info = shutil.which("st-info")
        if info is None:        # without it the chip could be any
            raise ToolMissing("st-info is not installed", fix=_INSTALL["st-flash"])
        said = _run([info, "--probe"], image)
        blocks = [b for b in re.split(r"(?=serial:)", said) if not probe or probe.lower() in b.lower()]
        ids = re.findall(r"chipid:\s*(0x[0-9a-fA-F]+)", "".join(blocks))
        if len(ids) > 1:
            raise InputError("several ST-LINKs are connected", image.board.key,
                             "name one, PROBE=serial: `st-info --probe` shows them")
        if not ids:
            raise ToolMissing("st-flash: no debug probe is connected", image.board.key, "plug the board's probe in")
        demand_chip(image.board, int(ids[0], 16))
    serial = ["--serial", probe] if probe else []
    # It compares what it wrote with the file before it ends well.
    _run([program, *serial, "--reset", "write", str(image.bin), f"{image.board.flash.origin:#x}"], image)


def _run(command: list[str], image: Image) -> str:
    """The program's output. Raises InputError, ToolMissing, CheckFailed with what the output means."""
    name = command[0].rpartition("/")[2]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise CheckFailed(f"{name} did not end within {_TIMEOUT_S} s", image.board.key,
                          "unplug the probe and plug it in") from None
    said = done.stdout + done.stderr
    if done.returncode == 0 or _WRONG_CHIP in said:
        return said
    for pattern, error, what, fix in _MEANINGS:
        if re.search(pattern, said):
            raise error(f"{name}: {what}", image.board.key, fix)
    lines = [line for line in said.splitlines() if "rror" in line] or said.strip().splitlines() or ["no message"]
    raise CheckFailed(f"{name} failed: {lines[0].strip()}", image.board.key)
