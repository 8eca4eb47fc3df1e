# SPDX-License-Identifier: Apache-2.0
"""Executions per address agree with the emulated timer; layers and what lies between them add up to all of it."""
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mcunas import api, device
from mcunas.board import Board
from mcunas.cli import main
from mcunas.device.build import Image
from mcunas.device.counts import count
from mcunas.device.disassembly import disassemble
from mcunas.graph import Graph, Op, Quant, write_tflite
from mcunas.paths import boards_dir
from tests.bench.regression import small_net
from tests.device.stubs import ARENA_BYTES, INPUT_BYTES, stub
from tests.device.target import built
from tests.small_models import dense

TURNS = 1000
LOOP = f'uint32_t n = {TURNS}; (void)arena; __asm volatile("1: subs %0, #1\\nbne 1b" : "+l"(n) :: "cc");'


def counted_stub(body: str, key: str, folder: Path, functions: str = "") -> Image:
    model = stub(body, functions)
    model.manifest["inputs"] = [{"name": "in", "shape": [1, INPUT_BYTES], "dtype": "int8", "bytes": INPUT_BYTES}]
    assert model.manifest["arena_bytes"] == ARENA_BYTES
    return built(model, key, folder)


@pytest.mark.parametrize("key", Board.cores())
def test_a_loop_is_counted_to_the_instruction(key: str, tmp_path: Path) -> None:
    image = counted_stub(LOOP, key, tmp_path)
    counts, code = count(image), disassemble(image.elf, image.board)
    branches = [run for run in counts.blocks if code.span(run.start, run.size)[-1].stem == "bne"]
    assert sum(run.runs for run in branches) == TURNS and sum(run.taken for run in branches) == TURNS - 1
    executed = sum(run.runs * len(code.span(run.start, run.size)) for run in counts.blocks)
    assert executed == counts.timer_instructions + 1        # the timer's count has an empty call's return taken off
    assert {run.site for run in counts.blocks} == {0}


TABLE = """static const uint32_t table[256] = {1};
uint32_t sum(void);
uint32_t sum(void) {
  uint32_t all = 0;
  for (unsigned pass = 0; pass < 2; pass++)
    for (unsigned i = 0; i < 256; i++) all += ((const volatile uint32_t *)table)[i];
  return all;
}"""


@pytest.mark.parametrize(("data_lines", "reads"), [(8, 128), (128, 64)])
def test_lines_of_flash_are_counted_through_the_accelerator(data_lines: int, reads: int, tmp_path: Path) -> None:
    """1024 bytes twice, in lines of 16; and the loop's code, which is kept."""
    board = tmp_path / "slow.toml"
    board.write_text((boards_dir() / "mps2-an386.toml").read_text().replace("[core]", (
        f"fetch = {{ wait_states = 5, line_bytes = 16, code_lines = 64, data_lines = {data_lines} }}\n\n[core]")))
    image = counted_stub("arena[0] = (uint8_t)sum();", str(board), tmp_path / "out", TABLE)
    blocks = count(image).blocks
    assert abs(sum(run.data_lines for run in blocks) - reads) <= 3      # an unaligned table in each pass, a literal
    assert sum(run.jump_lines + run.next_lines for run in blocks) < 10
    fast = replace(image, board=replace(image.board, fetch=None))
    waits = device.executed(image)[1].typical - device.executed(fast)[1].typical
    assert 5 * (reads - 3) <= waits <= 5 * (reads + 13)


@pytest.mark.parametrize(("model", "key", "goal"), [
    ("kws_ref_model", "mps2-an386", "balanced"), ("vww_96_int8", "mps3-an547", "balanced"),
    ("ad01_int8", "mps2-an385-m0plus", "flash"), ("kws_ref_model", "mps2-an385-m0plus", "flash")])
def test_layers_and_overhead_add_up_to_what_the_timer_counts(model: str, key: str, goal: str, data_dir: Path,
                                                            tmp_path: Path) -> None:
    # balanced: layers of one step stream row by row, so their calls take turns; flash: kernels are inlined into invoke
    found = device.profile(api.build(data_dir / "mlperf_tiny" / f"{model}.tflite", key, tmp_path, optimize=goal))
    parts = [*found.layers, found.overhead]
    assert sum(part.instructions for part in parts) == found.total.instructions == found.timer_instructions + 1
    assert abs(sum(part.cycles for part in parts) - found.total.cycles) <= len(parts)      # each is rounded
    kernels = [*found.kernels.values(), found.overhead]
    assert sum(part.instructions for part in kernels) == found.total.instructions
    assert sum(part.macs for part in found.layers) == found.total.macs
    for part in (*parts, *kernels):
        assert sum(part.mix.values()) == part.instructions and part.low <= part.cycles <= part.high
    for layer in found.layers:
        assert bool(layer.kernels) == bool(layer.instructions)


def test_two_calls_of_one_kernel_keep_their_own_counts(tmp_path: Path) -> None:
    first, second = dense(40, 30), dense(30, 2)
    tensors = (*first.tensors, *second.tensors[1:])
    ops = (first.ops[0], Op("FULLY_CONNECTED", (3, 4, 5), (6,), first.ops[0].attrs))
    bias = replace(tensors[5], quant=Quant.of(1.0 * np.float32(0.01)))      # of the inner tensor's scale
    graph = Graph((*tensors[:5], bias, tensors[6]), ops, (0,), (6,), "two")
    one, two = device.profile(api.build(graph, "mps2-an386", tmp_path)).layers
    assert one.kernels == two.kernels and (one.macs, two.macs) == (1200, 60)
    assert 5 < one.instructions / two.instructions < 20


def test_a_layer_counts_in_the_network_what_it_counts_alone(tmp_path: Path) -> None:
    graph, board = small_net(), Board.load("mps2-an386")
    layers = device.profile(api.build(graph, board, tmp_path / "all")).layers
    assert [layer.kind for layer in layers] == [op.kind for op in graph.ops]
    for layer in layers[:4]:
        single = device.profile(api.build(graph.alone(layer.index), board, tmp_path / str(layer.index)))
        assert abs(single.total.instructions - layer.instructions) < 20      # invoke's own few, around the call


def test_the_verb_prints_every_layer_and_writes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)        # a terminal's width would cut the table
    model = tmp_path / "dense.tflite"
    model.write_bytes(write_tflite(dense(40, 6)))
    with pytest.raises(SystemExit) as leave:
        main(["profile", str(model), "--board", "mps2-an386", "--json", "--out", str(tmp_path / "out")])
    assert leave.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert [layer["kind"] for layer in found["layers"]] == ["FULLY_CONNECTED"] and found["total"]["macs"] == 240
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Where instructions and cycles go" in page and "instructions per MAC" in page
    with pytest.raises(SystemExit):
        main(["profile", str(model), "--board", "mps2-an386"])
    assert "0 FULLY_CONNECTED" in capsys.readouterr().out
