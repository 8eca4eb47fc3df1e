# SPDX-License-Identifier: Apache-2.0
"""Start-up code of every real board, run instruction by instruction in Unicorn with a model of the chip around it: the
manual's sequence of register writes in order, the console's baud rate, an inference, and what happens when no clock starts.
"""
from __future__ import annotations

import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("unicorn", reason="unicorn is not installed")

from mcunas.board import Board
from mcunas.device.build import Image
from mcunas.device.random_input import random_bytes
from mcunas.paths import firmware_dir
from tests.boards.chip_model import Chip
from tests.boards.sequences import ANSWERS, RESET, RESET_MHZ, SEQUENCES
from tests.device.stubs import INPUT_BYTES, stub
from tests.device.target import built

REAL = [key for key in Board.keys() if Board.load(key).flashing]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Image]:
    return {}


def image_of(key: str, images: dict[str, Image], tmp_path_factory: pytest.TempPathFactory) -> Image:
    if key not in images:
        images[key] = built(stub(), key, tmp_path_factory.mktemp(key))
    return images[key]


def chip(image: Image) -> Chip:
    family = image.board.family
    return Chip(image, ANSWERS[family], RESET.get(family))


@pytest.mark.parametrize("key", REAL)
def test_a_board_starts_as_its_manual_says_and_answers(key: str, images, tmp_path_factory) -> None:
    target = chip(image_of(key, images, tmp_path_factory))
    assert target.boot()[-1] == "m-init-done"
    board = Board.load(key)
    assert f"core_hz={board.clock_hz}," in target.ask("board")[0]
    at = 0
    for step, (register, bits, value) in enumerate(SEQUENCES[key]):
        found = next((i for i in range(at, len(target.writes))
                      if target.writes[i][0] == register and target.writes[i][1] & bits == value), None)
        assert found is not None, f"step {step}: {register:#010x} & {bits:#x} = {value:#x} is not written in its order"
        at = found + 1
    assert target.ask("name") == ["m-name-dut-[mcunas]"]
    target.ask("seed 7")
    total = sum(random_bytes(7, INPUT_BYTES).tolist())
    assert f"m-out-[{total.to_bytes(4, 'little').hex()}]" in [*target.ask("infer 1"), *target.ask("out")]


@pytest.mark.parametrize("key", REAL)
def test_the_console_has_its_baud_rate(key: str, images, tmp_path_factory) -> None:
    target, board = chip(image_of(key, images, tmp_path_factory)), Board.load(key)
    target.boot()
    base, wrote = board.console.base, dict(target.writes)
    uart_hz = int.from_bytes(target.core.mem_read(target.symbols["chip"] + 4, 4), "little")
    if board.console.driver in ("stm32_v1", "stm32_v2"):
        brr = wrote[base + (8 if board.console.driver == "stm32_v1" else 12)]
        baud = uart_hz * (256 if base == 0x40008000 else 1) / brr
    elif board.console.driver == "pl011":
        baud = uart_hz * 4 / (wrote[base + 0x24] * 64 + wrote[base + 0x28])
    else:
        baud = wrote[base + 0x524] * 16e6 / 2**32
    assert baud == pytest.approx(board.console.baud, rel=0.005)


@pytest.mark.parametrize("family", sorted(RESET_MHZ))
def test_a_clock_that_does_not_start_is_said_over_a_working_console(family: str, images, tmp_path_factory) -> None:
    key = next(k for k in REAL if Board.load(k).family == family)
    target = Chip(image_of(key, images, tmp_path_factory), (), RESET.get(family))
    target.boot()
    assert f"core_hz={RESET_MHZ[family]}000000," in target.ask("board")[0]


_DEFINE = re.compile(r"#define ([A-Z0-9]+)_(\w+) REG32\((0x[0-9A-F]{8})u\)")
# Vendor data that comes with pyOCD -> the families whose chips it describes, or is close enough kin of to be compared.
SVD = {"STM32F41x.svd": "stm32f4", "STM32L4x5.svd": "stm32l4", "nrf51.svd": "nrf51", "nrf52840.svd": "nrf52"}
# Of the newer L4+ only.
NOT_THERE = {"stm32l4": {"PWR_CR5"}}


@pytest.mark.parametrize(("file", "family"), SVD.items())
def test_register_addresses_are_the_vendors(file: str, family: str) -> None:
    pyocd = pytest.importorskip("pyocd", reason="pyocd, which carries the SVD files, is not installed")
    with zipfile.ZipFile(Path(pyocd.__file__).parent / "debug/svd/svd_data.zip") as archive:
        registers = _registers(archive.read(file))
    text = (firmware_dir() / "platform" / family / "chip.c").read_text()
    ours = {f"{p}_{r}": int(a, 16) for p, r, a in _DEFINE.findall(text)}
    assert len(ours) >= 2
    for name in ours.keys() - NOT_THERE.get(family, set()):
        assert registers.get(name) == ours[name], f"{name}: {ours[name]:#x}"


def _registers(svd: bytes) -> dict[str, int]:
    """PERIPHERAL_REGISTER -> address, with derived peripherals."""
    found: dict[str, int] = {}
    peripherals = {p.findtext("name"): p for p in ElementTree.fromstring(svd).iter("peripheral")}
    for name, peripheral in peripherals.items():
        origin = peripherals.get(peripheral.get("derivedFrom"), peripheral)
        base = int(peripheral.findtext("baseAddress"), 0)
        for register in [*peripheral.iter("register"), *origin.iter("register")]:
            found.setdefault(f"{name}_{register.findtext('name')}", base + int(register.findtext("addressOffset"), 0))
    return found
