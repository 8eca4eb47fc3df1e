# SPDX-License-Identifier: Apache-2.0
"""The selector: goals lead to different kernels, every choice computes the same bytes, bad choices are refused."""
from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest

from mcunas.board import Board
from mcunas.compiler import compile_graph
from mcunas.compiler.choice import Choice, fingerprint
from mcunas.compiler.lower import candidates
from mcunas.compiler.select import _smallest, flash_bytes, select, table_bytes
from mcunas.compiler.tables import instruction_table
from mcunas.cost import estimate
from mcunas.errors import InputError
from mcunas.graph import Graph
from mcunas.paths import boards_dir
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
        return flash_bytes(dict(enumerate(compiled.plan.program.calls)), BOARD, "flash")

    assert bytes_of(made["flash"]) == min(map(bytes_of, made.values())) < bytes_of(made["cycles"])


def test_a_measured_price_decides():
    graph = compile_graph(small_cnn(), BOARD).graph
    op = next(i for i, o in enumerate(graph.ops) if len(candidates(graph, o, "dsp")) > 1)
    for winner in candidates(graph, graph.ops[op], "dsp"):
        measured = {(op, v): 10 if v == winner else 11 for v in candidates(graph, graph.ops[op], "dsp")}
        if winner != "wide":
            assert select(graph, BOARD, "balanced", lambda c: 0, measured)[op] == winner


def with_flash(bytes_for_a_model: int) -> Board:
    return dataclasses.replace(BOARD, memories=tuple(
        dataclasses.replace(m, size=bytes_for_a_model + BOARD.reserve.flash) if m.kind == "flash" else m
        for m in BOARD.memories))


def test_flash_that_is_short_buys_the_best_gain_per_byte(monkeypatch):
    """Two layers offer speed for flash; only one fits."""
    monkeypatch.setattr("mcunas.compiler.lower.ROOMY", {})
    graph = compile_graph(small_cnn(), BOARD).graph
    ways = {i: found for i, o in enumerate(graph.ops) if len(found := candidates(graph, o, "dsp")) > 1}
    first, second = (next(i for i, o in enumerate(graph.ops) if o.kind == kind) for kind in ("CONV_2D", "DEPTHWISE_CONV_2D"))
    monkeypatch.setattr("mcunas.compiler.select.ROOMY", {"dsp": ("dsp",)})
    extra = {i: table_bytes(found["dsp"]) - table_bytes(found["scalar"]) for i, found in ways.items()}
    assert extra[first] > 0 and extra[second] > 0
    measured = {(i, v): 1000 for i, found in ways.items() for v in found}
    measured[first, "dsp"], measured[second, "dsp"] = 900, 1000 - 200 * extra[second] // extra[first]
    bought = flash_bytes({i: found["dsp" if i == second else "scalar"] for i, found in ways.items()}, BOARD, "cycles")
    for board, budget in ((with_flash(bought), None), (BOARD, bought)):
        choice = select(graph, board, "cycles", lambda c: 0, measured, budget)
        assert choice[second] == "dsp" and choice[first] == "scalar"
        choice = select(graph, board, "cycles", lambda c: 0, measured, bought - 1)
        assert choice[second] == choice[first] == "scalar"


def test_speed_is_bought_with_flash_that_the_whole_model_leaves():
    """Layers without a choice and the code of further kernels take flash as well."""
    graph = compile_graph(small_cnn(), BOARD).graph
    ways = [candidates(graph, op, "dsp") for op in graph.ops]
    measured = {(i, v): {"wide": 1, "dsp": 2}.get(v, 3) for i, found in enumerate(ways) for v in found}

    def chosen(budget: int | None = None) -> dict[int, list]:
        choice = select(graph, BOARD, "cycles", lambda c: 0, measured, budget)
        return {i: found[choice[i]] for i, found in enumerate(ways)}

    def wide(calls: dict[int, list]) -> int:
        return sum(found[0].kernel == "mn_conv_s8_wide_dsp" for found in calls.values())

    most = flash_bytes(chosen(), BOARD, "cycles")
    assert wide(chosen()) == wide(chosen(most)) == 3
    for budget in range(most - 4000, most, 250):
        assert flash_bytes(chosen(budget), BOARD, "cycles") <= budget or not wide(chosen(budget))
    assert wide(chosen(most - 1)) < 3


def test_a_core_without_tables_takes_the_best_usual_kernels(tmp_path):
    text = (boards_dir() / "mps2-an386.toml").read_text()
    (tmp_path / "mine.toml").write_text(re.sub(r"^cost +=.*$", 'cost = "mine"', text, flags=re.MULTILINE))
    board, graph = Board.load(tmp_path / "mine.toml"), small_cnn()
    for goal in ("balanced", "cycles"):
        kernels = [calls[0].kernel for calls in compile_graph(graph, board, goal).plan.program.calls]
        assert kernels == ["mn_conv_s8_dsp"] * 2 + ["mn_depthwise_s8_dsp", "mn_conv_s8_dsp"]
    least = compile_graph(graph, BOARD, "ram").plan.arena_bytes
    assert compile_graph(graph, board, "ram").plan.arena_bytes == least
    assert compile_graph(graph, board, "flash").plan.arena_bytes >= least
    with pytest.raises(InputError, match="no cost table"):
        estimate(graph, board)


def test_a_kind_that_lacks_a_variant_takes_the_next_plainer_one():
    board = Board.load("mps3-an547")
    graph = compile_graph(small_cnn(), board, rewrite=False).graph
    ways = {0: {"mve": [], "dsp": [], "scalar": []}, 1: {"dsp": [], "scalar": []}}
    least = {(a, b): 9 for a in ways[0] for b in ways[1]} | {("mve", "dsp"): 1}
    assert _smallest(graph, ways, board, lambda c: least[c[0], c[1]]) == {0: "mve", 1: "dsp"}


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
