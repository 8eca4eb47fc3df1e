# SPDX-License-Identifier: Apache-2.0
"""What each goal of `--optimize` gives: the front of RAM and waste is complete, and every goal picks its end of it."""
from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mcunas import api, device
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.compiler import compile_graph, effort, plan
from mcunas.compiler.lifetime import Program
from mcunas.compiler.order import best_order
from mcunas.compiler.schedule import BALANCED_WASTE, Cutter, preferred
from mcunas.cost import estimate
from mcunas.errors import DoesNotFit
from mcunas.graph import Graph
from tests.kernels.bundle import draw
from tests.kernels.strategies_graph import row_network

GOALS = ("ram", "balanced", "cycles", "flash")
MOST_LOSS = {"kws_ref_model": ("mps2-an386", "mps2-an385-m0plus"), "vww_96_int8": ("mps2-an385-m0plus",),
             "pretrainedResnet_quant": ("mps2-an386", "mps3-an547")}


def networks(count: int, first: int = 0) -> Iterator[Graph]:
    for number in range(first, first + count):
        yield draw(row_network(), 1, number)[0][0]


def all_cuts(cutter: Cutter, at: int = 0) -> Iterator[tuple[int, int]]:
    """(peak, waste) of every way to cut the order from `at` on, streams of 1, 2 and 4 rows."""
    if at == len(cutter.order):
        yield 0, 0
    for end in range(at + 1, len(cutter.order) + 1):
        for step in filter(None, (cutter.segment(at, end, rows) for rows in ((1, 2, 4) if end > at + 1 else (1,)))):
            for peak, waste in all_cuts(cutter, end):
                yield max(peak, step.live_bytes), waste + (step.stream.extra_work if step.stream else 0)


def test_the_front_is_that_of_all_cuts():
    several = 0
    for graph in networks(24):
        program = Program.of(graph, "dsp")
        cutter = Cutter(program, best_order(program))
        cuts = set(all_cuts(cutter))
        unbeaten = {a for a in cuts if not any(b != a and b[0] <= a[0] and b[1] <= a[1] for b in cuts)}
        front = [(cut.peak_bytes, cut.waste) for cut in cutter.front()]
        assert front == sorted(unbeaten)
        assert all(cut.peak_bytes == max(s.live_bytes for s in cut.steps()) for cut in cutter.front())
        several += len(front) > 1
    assert several >= 2


def waste(program: Program, goal: str) -> int:
    return sum(s.stream.extra_work for s in preferred(program, goal)[0].steps if s.stream)


def test_balanced_gives_a_few_percent_of_the_work_for_ram_and_no_more():
    kept = 0
    for graph in networks(20, first=50):
        program = Program.of(graph, "dsp")
        ram, balanced, cycles = (preferred(program, goal)[0].bound_bytes for goal in ("ram", "balanced", "cycles"))
        work = sum(effort.whole(c, graph.tensors[c.outputs[0]].size_bytes) for calls in program.calls for c in calls)
        assert ram <= balanced <= cycles and waste(program, "cycles") == 0
        assert waste(program, "balanced") <= BALANCED_WASTE * work
        assert all(cut.waste > BALANCED_WASTE * work for cut in Cutter(program, best_order(program)).front()
                   if cut.peak_bytes < balanced)
        kept += ram < balanced
    assert kept >= 1


def test_every_goal_keeps_a_ram_budget_or_says_what_it_would_take():
    board = Board.load("mps2-an386")
    graph = next(g for g in networks(40) if plan(g, "dsp", "ram").arena_bytes < plan(g, "dsp", "cycles").arena_bytes)

    def arena(goal: str, limit: int | None = None) -> int:
        return compile_graph(graph, board, goal, rewrite=False, ram_bytes=limit).plan.arena_bytes

    most = arena("cycles")
    for goal in GOALS:
        with pytest.raises(DoesNotFit, match="the budget is 4") as refused:
            arena(goal, 4)
        least = int(re.search(r"at least (\d+) bytes", str(refused.value))[1])
        for limit in (least, (least + most) // 2, most):
            assert estimate(graph, board, False, goal, limit).ram_bytes == arena(goal, limit) <= limit
        with pytest.raises(DoesNotFit, match=f"needs at least {least} bytes .* the budget is {least - 4}"):
            arena(goal, least - 4)
    small = replace(board, memories=tuple(replace(m, size=board.reserve.ram + board.reserve.stack + 16)
                                          if m.kind == "ram" else m for m in board.memories))
    with pytest.raises(DoesNotFit, match="mps2-an386 has 16 for it"):
        compile_graph(graph, small)


@pytest.mark.parametrize(("model", "key"), [(model, key) for model, keys in MOST_LOSS.items() for key in keys])
def test_balanced_loses_at_most_five_percent_of_the_instructions(model, key, data_dir, tmp_path: Path):
    counts = {}
    for goal in ("balanced", "cycles"):
        image = api.build(data_dir / "mlperf_tiny" / f"{model}.tflite", key, tmp_path / goal, optimize=goal)
        report = device.validate(image, n_random=1)
        assert report.passed
        counts[goal] = report.measured.instructions
    assert counts["balanced"] <= 1.05 * counts["cycles"]


def test_a_budget_reaches_the_plan_of_a_build(data_dir, tmp_path):
    model = data_dir / "mlperf_tiny" / "pretrainedResnet_quant.tflite"
    arenas = [api.build(model, "mps2-an386", tmp_path, optimize="cycles", budget=Budget(ram)).manifest["arena_bytes"]
              for ram in (None, "32 KiB", "24 KiB")]
    assert arenas[0] > 32 * 1024 >= arenas[1] > 24 * 1024 >= arenas[2]
