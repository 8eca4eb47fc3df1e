# SPDX-License-Identifier: Apache-2.0
"""The selector: goals lead to different kernels, every choice computes the same bytes, bad choices are refused."""
from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from mcunas.board import Board
from mcunas.compiler import compile_graph
from mcunas.compiler.choice import Choice, fingerprint
from mcunas.compiler.lower import candidates
from mcunas.compiler.select import flash_bytes, select, table_bytes
from mcunas.compiler.tables import instruction_table
from mcunas.errors import InputError
from mcunas.graph import Graph
from tests.compiler.passes_by_hand import Net

BOARD = Board.load("mps2-an386")


def small_cnn() -> Graph:
    """Two convolutions, a depthwise one and a pointwise one, all fit for short arithmetic."""
    rng, net = np.random.default_rng(7), Net(1, 12, 12, 4)

    def weights(*shape: int) -> np.ndarray:
        return rng.integers(-127, 128, shape)

    x = net.conv(0, weights(8, 3, 3, 4), padding="SAME", weight_scale=1 / 256)
    x = net.conv(x, weights(16, 3, 3, 8), padding="SAME", weight_scale=1 / 256)
    x = net.depthwise(x, weights(3, 3, 16), padding="SAME", weight_scale=1 / 256)
    return net.graph(net.conv(x, weights(12, 16), weight_scale=1 / 256))


def test_ram_and_flash_never_take_more_than_the_other_goals():
    graph = small_cnn()
    made = {goal: compile_graph(graph, BOARD, goal) for goal in ("ram", "flash", "balanced", "cycles")}
    assert made["ram"].plan.arena_bytes == min(c.plan.arena_bytes for c in made.values())

    def bytes_of(compiled):
        return flash_bytes(dict(enumerate(compiled.plan.program.calls)), BOARD)

    assert bytes_of(made["flash"]) == min(map(bytes_of, made.values())) < bytes_of(made["cycles"])


def test_a_measured_price_decides():
    graph = compile_graph(small_cnn(), BOARD).graph
    op = next(i for i, o in enumerate(graph.ops) if len(candidates(graph, o, "dsp")) > 1)
    for winner in candidates(graph, graph.ops[op], "dsp"):
        measured = {(op, v): 10 if v == winner else 11 for v in candidates(graph, graph.ops[op], "dsp")}
        if winner != "wide":
            assert select(graph, BOARD, "balanced", lambda c: 0, measured)[op] == winner


def test_flash_that_is_short_buys_the_best_gain_per_byte(monkeypatch):
    """Two layers offer speed for flash; only one fits."""
    monkeypatch.setattr("mcunas.compiler.lower.ROOMY", {})
    graph = compile_graph(small_cnn(), BOARD).graph
    ways = {i: found for i, o in enumerate(graph.ops) if len(found := candidates(graph, o, "dsp")) > 1}
    first, second = list(ways)[:2]
    monkeypatch.setattr("mcunas.compiler.select.ROOMY", {"dsp": ("dsp",)})
    extra = {i: table_bytes(found["dsp"]) - table_bytes(found["scalar"]) for i, found in ways.items()}
    assert extra[first] > 0 and extra[second] > 0
    measured = {(i, v): 1000 for i, found in ways.items() for v in found}
    measured[first, "dsp"], measured[second, "dsp"] = 900, 1000 - 200 * extra[second] // extra[first]
    plain = flash_bytes({i: found["scalar"] for i, found in ways.items()}, BOARD)
    room = plain + max(extra[first], extra[second]) + BOARD.reserve.flash
    small = dataclasses.replace(BOARD, memories=tuple(
        dataclasses.replace(m, size=room) if m.kind == "flash" else m for m in BOARD.memories))
    choice = select(graph, small, "cycles", lambda c: 0, measured)
    assert choice[second] == "dsp" and choice[first] == "scalar"


def test_a_kernel_that_the_table_does_not_know_is_not_free():
    graph = compile_graph(small_cnn(), BOARD).graph
    table = instruction_table(BOARD)
    unknown = dataclasses.replace(table, per_unit={"default": table.per_unit["default"]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mcunas.compiler.select.instruction_table", lambda board: unknown)
        for i, variant in select(graph, BOARD, "balanced", lambda c: 0).items():
            assert variant == next(v for v in candidates(graph, graph.ops[i], "dsp") if v != "wide")


def test_a_choice_that_does_not_fit_is_refused_in_words():
    graph = small_cnn()
    with pytest.raises(InputError, match="no variant 'vector', only .*dsp, scalar"):
        Choice({0: "vector"}).check(graph, BOARD)
    with pytest.raises(InputError, match="op 99 has no variant"):
        Choice({99: "dsp"}).check(graph, BOARD)
    with pytest.raises(InputError, match="for another model"):
        Choice({}, core="cortex-m4", fingerprint="0").check(graph, BOARD)
    with pytest.raises(InputError, match="for another core"):
        Choice({}, core="cortex-m7", fingerprint=fingerprint(graph)).check(graph, BOARD)


def test_a_choice_survives_its_file(tmp_path):
    graph = small_cnn()
    choice = Choice({0: "dsp", 3: "scalar"}, {(0, "dsp"): 5, (0, "scalar"): 9, (3, "scalar"): 2}, "cortex-m4", "cycles",
                    fingerprint(graph))
    path = tmp_path / "tuned.json"
    path.write_text(json.dumps(choice.to_json(graph)))
    assert Choice.load(path) == choice
    path.write_text("[]")
    with pytest.raises(InputError, match="is not a tuning"):
        Choice.load(path)
