# SPDX-License-Identifier: Apache-2.0
"""Tuning measures what a build then shows, and its choice builds the same bytes."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mcunas.board import Board
from mcunas.compiler import Choice, compile_graph
from mcunas.device import build, validate
from mcunas.device.tune import tune
from mcunas.errors import DoesNotFit, InputError
from mcunas.graph import Graph, verify, write_tflite
from tests.compiler.test_select import small_cnn
from tests.small_models import dense

BOARD = Board.load("mps2-an386")


def test_the_measured_best_is_what_the_build_executes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model, steps = dense(64, 20), []
    graph, choice = tune(model, BOARD, progress=lambda done, of: steps.append((done, of)))
    counts = {variant: n for (_, variant), n in choice.measured.items()}
    assert counts[choice.variants[0]] == min(counts.values())
    assert steps[0][0] == 0 and steps[-1] == (len(counts), len(counts))
    built = build(compile_graph(model, BOARD, "cycles", choice=choice), BOARD, tmp_path, tflite=write_tflite(model))
    report = validate(built, n_random=2)
    assert report.mismatches == 0 and report.to_json()["cycles"] == min(counts.values())
    assert tune(model, BOARD)[1] == choice
    assert len(list((tmp_path / "cache" / "mcunas" / "counts").iterdir())) == len(counts)


def test_predictions_are_of_the_kernels_that_were_chosen(tmp_path: Path) -> None:
    model, instructions = dense(64, 20), []
    for variant in ("scalar", "dsp"):
        compiled = compile_graph(model, BOARD, "cycles", choice=Choice({0: variant}))
        report = validate(build(compiled, BOARD, tmp_path, tflite=write_tflite(model)), n_random=1)
        assert abs(report.predicted.instructions / report.measured.instructions - 1) < 0.25
        instructions.append(report.predicted.instructions)
    assert instructions[0] > 1.5 * instructions[1]


def test_a_variant_that_does_not_fit_alone_is_priced_by_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(layer: Graph, variant: str, *_: Any) -> tuple[int, int]:
        if variant == "wide":
            raise DoesNotFit("too large")
        return 700, 1000

    monkeypatch.setattr("mcunas.device.tune.counted", counted)
    graph, choice = tune(small_cnn(), BOARD)
    assert set(choice.variants) == set(range(len(graph.ops))) and "wide" not in {v for _, v in choice.measured}
    assert compile_graph(small_cnn(), BOARD, "cycles", choice=choice).kernels


def test_a_layer_alone_is_a_legal_graph() -> None:
    graph = small_cnn()
    for i in range(len(graph.ops)):
        layer = verify(graph.alone(i))
        assert layer.tensors[layer.outputs[0]].shape == graph.tensors[graph.ops[i].outputs[0]].shape


def test_goals_that_instructions_do_not_decide_are_refused() -> None:
    with pytest.raises(InputError, match="tuning for 'flash' has no effect"):
        tune(dense(8, 4), BOARD, "flash")
