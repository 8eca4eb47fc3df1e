# SPDX-License-Identifier: Apache-2.0
"""Addresses of registers, bits of their fields, peripherals of console and timer: those of the vendors' SVD files.

Files of six chips come with pyOCD. No package of a registry has those of the others: where the folder MCUNAS_SVD holds them
(ST's are on its product pages, Nordic's in nrfx, Raspberry Pi's in the Pico SDK; TI has the TM4C's, the LM3S' successor),
they are compared, too.
"""
from __future__ import annotations

import re
import subprocess
import tempfile
from functools import cache, reduce
from operator import or_
from pathlib import Path

import pytest

from mcunas.board import Board
from mcunas.device.layout import board_h
from mcunas.paths import firmware_dir
from tests.boards.svd import Register, Svd, find

pytest.importorskip("pyocd", reason="pyocd, which carries SVD files, is not installed")

REAL = [key for key in Board.keys() if Board.load(key).flashing]
# Chip -> its file, then others that describe a close relative.
FILES = {
    "STM32F100RB": ("STM32F100xx.svd", "STM32F103xx.svd"), "STM32F405RG": ("STM32F405.svd", "STM32F41x.svd"),
    "STM32F446RE": ("STM32F446.svd", "STM32F429x.svd"), "STM32F411RE": ("STM32F411.svd", "STM32F41x.svd"),
    "STM32F746NG": ("STM32F7x6.svd",), "STM32F767ZI": ("STM32F7x7.svd",), "STM32H743ZI": ("STM32H743x.svd", "STM32H743.svd"),
    "STM32L4R5ZI": ("STM32L4R5.svd", "STM32L4x5.svd"), "STM32L475VG": ("STM32L4x5.svd",), "STM32U575ZI": ("STM32U575.svd",),
    "STM32G0B1RE": ("STM32G0B1.svd",), "nRF51822": ("nrf51.svd",), "nRF52833": ("nrf52833.svd",),
    "nRF52840": ("nrf52840.svd",), "nRF5340": ("nrf5340_application.svd",), "RP2040": ("rp2040.svd", "RP2040.svd"),
    "RP2350": ("rp2350.svd", "RP2350.svd"), "LM3S6965": ("TM4C123GH6PM.svd",),
}
# What a manual has and no file of ST's; what a file calls by another name than its manual, or TI by another than Arm.
UNLISTED = {"PWR_CR5", "DBGMCU_IDCODE"}
RENAMED = {"RCC_DCKCFGR2": "DKCFGR2", "UARTCR": "CTL", "UARTIMSC": "IM"}
# Wider than the field of chips with few wait states, whose other bits read 0; named for the effect, its field is PULL.
OTHERWISE = {"ACR_LATENCY", "PIN_CNF_INPUT_PULLED_UP"}
ARMS = range(0xE0000000, 0xE0042000)        # of the core: every chip has them
_ARGUMENTS = {"pin": "BOARD_UART_TX", "port": "GPIOA", "port, bit": "GPIOA, 0"}
_MACRO = re.compile(r"^#define ([A-Z]\w+)(?:\(([^)]*)\))? ", re.MULTILINE)
_REGISTER = "REGISTER"


@cache
def svd_of(chip: str) -> Svd:
    for name in FILES[chip]:
        if (data := find(name)) is not None:
            return Svd(data)
    pytest.skip(f"no package has an SVD file of the {chip}; let MCUNAS_SVD name a folder with {FILES[chip][0]}")


@cache
def macros(key: str) -> dict[str, tuple[bool, int]]:
    """Name -> (is it a register's address, value) of the macros of a board's chip, console and timer, as the compiler
    expands them; a function's for the console's pin."""
    board, platform = Board.load(key), firmware_dir() / "platform"
    sources = [*sorted((platform / board.family).glob("*.c")), platform / f"uart_{board.console.driver}.c",
               platform / f"timer_{board.timer.driver}.c"]
    found: dict[str, tuple[bool, int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "board.h").write_text(board_h(board))
        for source in sources:
            text = source.read_text()
            headers = [(platform / name).read_text() for name in re.findall(r'"(rp2\.h|stm32_gpio\.h)"', text)]
            probe = f"{text}\n#undef REG32\n#define REG32(at) {_REGISTER} (at)\n"
            for name, arguments in _MACRO.findall("\n".join((text, *headers))):
                if not arguments or arguments in _ARGUMENTS:
                    probe += f'@"{name}" {name}' + (f"({_ARGUMENTS[arguments]})\n" if arguments else "\n")
            done = subprocess.run(["arm-none-eabi-gcc", "-E", "-P", "-x", "c", f"-I{folder}", f"-I{platform}", "-"],
                                  input=probe, capture_output=True, text=True, check=True)
            for name, value in re.findall(r'^@\s*"(\w+)" (.*)$', done.stdout, re.MULTILINE):
                if (number := _number(value.removeprefix(_REGISTER))) is not None:
                    found[name] = (value.startswith(_REGISTER), number)
    return found


def _number(text: str) -> int | None:
    """A constant expression's value."""
    text = re.sub(r"(?<=[0-9a-fA-F])u\b", "", text).replace("/", "//")
    return eval(text) & 0xFFFFFFFF if re.fullmatch(r"(0x[0-9a-fA-F]+|[\d+\-*/%<>|()\s])+", text) else None


@pytest.mark.parametrize("key", REAL)
def test_registers_and_their_bits_are_the_vendors(key: str) -> None:
    board, names = Board.load(key), macros(key)
    svd = svd_of(board.chip)
    registers = {name: svd.at(at, RENAMED.get(name, name)) or svd.at(at, name)
                 for name, (is_one, at) in names.items() if is_one and at not in ARMS}
    assert len(registers) >= 8
    assert [f"{name}: {names[name][1]:#x} is {svd.registers.get(names[name][1])}" for name, found in registers.items()
            if found is None and name not in UNLISTED] == []
    masks = {name: _mask(name, registers) for name, (is_one, _) in names.items() if not is_one}
    known = {name: mask for name, mask in masks.items() if mask is not None}
    assert len(known) >= (13 if board.family.startswith("stm32") else 0)
    assert [f"{name}: {names[name][1]:#x}, its field is {mask:#x}" for name, mask in known.items()
            if names[name][1] & ~mask and name not in OTHERWISE] == []


def _mask(name: str, registers: dict[str, Register | None]) -> int | None:
    """Of the field that a constant like CR_PLLON or CFGR_SWS_PLL is for; None where no register or field is called so."""
    words = name.split("_")
    for cut in range(len(words) - 1, 0, -1):
        found = [r for n, r in registers.items() if r and f"_{n}".endswith("_" + "_".join(words[:cut]))]
        for end in range(len(words), cut, -1):
            field = "".join(words[cut:end]).upper()
            masks = [mask for r in found for other, mask in r.fields.items()
                     if re.fullmatch(rf"(\w*_)?{field}(EN|ST|ON|\d)?", other.upper())]
            if masks:
                return reduce(or_, masks)
    return None


@pytest.mark.parametrize("key", REAL)
def test_console_and_timer_are_where_the_vendor_has_them(key: str) -> None:
    board = Board.load(key)
    svd = svd_of(board.chip)
    assert any("UART" in name or "USART" in name for name in svd.bases[board.console.base]), svd.bases[board.console.base]
    if board.timer.driver != "dwt":
        assert any(re.match("TIM|WATCHDOG|WDT", name) for name in svd.bases[board.timer.base]), svd.bases[board.timer.base]
