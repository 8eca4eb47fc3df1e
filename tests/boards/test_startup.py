# SPDX-License-Identifier: Apache-2.0
"""Start-up code of every real board, run instruction by instruction in Unicorn with a model of the chip around it: the
manual's sequence of register writes in order, the console's baud rate, an inference, and what happens when no clock starts.
"""
from __future__ import annotations

import pytest

pytest.importorskip("unicorn", reason="unicorn is not installed")

from mcunas.board import Board
from mcunas.device.build import Image
from mcunas.device.random_input import random_bytes
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


def test_the_start_up_code_of_every_board_runs_somewhere() -> None:
    """In QEMU (test_link) or here; and what Debian's QEMU has a machine for, in both."""
    emulated = {key for key in Board.keys() if Board.load(key).emulate}
    assert set(SEQUENCES) == set(REAL) and set(Board.keys()) == emulated | set(REAL)
    assert {Board.load(key).family for key in emulated} == {"mps2", "mps3", "stm32f4", "stm32f1", "nrf51", "lm3s"}


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
