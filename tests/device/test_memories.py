# SPDX-License-Identifier: Apache-2.0
"""An arena in several memories: what fits none alone runs in two, with the planned bytes in each."""
from __future__ import annotations

from pathlib import Path

import pytest

from mcunas import api, device
from mcunas.board import Board
from mcunas.board_parts import GUARD_BYTES
from mcunas.compiler import compile_graph
from mcunas.cost import estimate
from mcunas.errors import DoesNotFit, InputError
from mcunas.graph import read_tflite
from mcunas.paths import boards_dir
from tests.compiler.poison import wrong
from tests.kernels.bundle import draw
from tests.kernels.strategies_graph import row_network, small_graph

_MEMORY = """
[[memory]]
name   = "{name}"
kind   = "ram"
origin = {origin:#x}
size   = {size}
use    = {use}
"""


def split_board(folder: Path, fast: int, slow: int, key: str = "mps2-an500") -> Board:
    """A board whose arena may use `fast` bytes of one memory and `slow` of another, where data and stack are too."""
    text = (boards_dir() / f"{key}.toml").read_text()
    start = text.index('[[memory]]\nname   = "ssram23"')
    own = Board.load(key)
    origin, reserve = own.ram_for("arena").origin, own.reserve
    sizes = (fast + GUARD_BYTES, slow + reserve.ram + reserve.stack)
    regions = (_MEMORY.format(name="dtcm", origin=origin, size=sizes[0], use='["arena"]')
               + _MEMORY.format(name="sram", origin=origin + 0x10000, size=sizes[1], use='["data", "stack", "arena"]'))
    path = folder / "split.toml"
    path.write_text(text[:start] + regions + text[text.index("[reserve]", start) - 1:])
    return Board.load(path)


@pytest.mark.parametrize("key", ["mps2-an500", "mps2-an505"])
def test_a_model_that_fits_no_memory_alone_runs_in_two(key, data_dir, tmp_path):
    model = data_dir / "mlperf_tiny" / "pretrainedResnet_quant.tflite"
    alone = compile_graph(read_tflite(model), Board.load(key)).plan.arena_bytes
    board = split_board(tmp_path, fast=4096, slow=18432, key=key)
    assert board.arenas == {"dtcm": 4096, "sram": 18432} and max(board.arenas.values()) < alone
    image = api.build(model, board, tmp_path / "out")
    report = device.validate(image, n_random=5)
    arenas = image.manifest["arenas"]
    assert report.passed and report.mismatches == 0
    assert report.measured.ram_bytes == sum(a["bytes"] for a in arenas) == image.manifest["arena_bytes"]
    assert all(0 < a["bytes"] <= a["limit_bytes"] for a in arenas)
    assert estimate(read_tflite(model), board).ram_bytes == image.manifest["arena_bytes"]


def test_the_linker_holds_the_budget_over_all_memories(data_dir, tmp_path):
    board = split_board(tmp_path, fast=4096, slow=18432)
    compiled = compile_graph(read_tflite(data_dir / "mlperf_tiny" / "pretrainedResnet_quant.tflite"), board)
    budget = compiled.plan.arena_bytes
    device.build(compiled, board, tmp_path / "out", ram_bytes=budget)
    with pytest.raises(DoesNotFit, match=f"the arena is {budget} bytes, the RAM budget {budget - 1}"):
        device.build(compiled, board, tmp_path / "out", ram_bytes=budget - 1)


def test_what_fits_the_first_memory_lies_there_in_the_same_c_as_on_a_board_with_one(data_dir, tmp_path):
    graph = read_tflite(data_dir / "mlperf_tiny" / "ad01_int8.tflite")
    one, two = (compile_graph(graph, board) for board in (Board.load("mps2-an500"), split_board(tmp_path, 4096, 4096)))
    assert (one.model_c, one.model_h) == (two.model_c, two.model_h)
    assert [a["bytes"] for a in two.manifest["arenas"]] == [one.plan.arena_bytes, 0]


def test_random_networks_in_two_memories_give_the_same_bytes_whatever_lies_in_dead_ones(tmp_path):
    divided = 0
    for number in range(12):
        graph, inputs = draw((small_graph, row_network)[number % 2](), 1, 900 + number)[0]
        alone = compile_graph(graph, Board.load("mps2-an500"), "ram", rewrite=False).plan.arena_bytes
        board = split_board(tmp_path, fast=max(alone * 2 // 3, 16), slow=max(alone * 3 // 4, 16) if number % 3 else alone)
        try:
            compiled = compile_graph(graph, board, "ram", model_id="model", rewrite=False)
        except DoesNotFit:
            continue
        divided += all(compiled.plan.region_bytes) and len(compiled.plan.region_bytes) == 2
        assert wrong(compiled, (graph, inputs), tmp_path / str(number)) == []
    assert divided >= 4


def test_what_fits_no_memories_is_refused_with_their_figures(data_dir, tmp_path):
    graph = read_tflite(data_dir / "mlperf_tiny" / "kws_ref_model.tflite")
    with pytest.raises(DoesNotFit, match=r"has 6144 for it \(2048 in dtcm \+ 4096 in sram\), and its"):
        compile_graph(graph, split_board(tmp_path, 2048, 4096))


def test_only_the_arena_may_use_several_memories(tmp_path):
    text = split_board(tmp_path, 4096, 4096).path.read_text()
    (tmp_path / "wrong.toml").write_text(text.replace('use    = ["arena"]', 'use    = ["arena", "stack"]'))
    with pytest.raises(InputError, match="one ram region must be used for 'stack'"):
        Board.load(tmp_path / "wrong.toml")
