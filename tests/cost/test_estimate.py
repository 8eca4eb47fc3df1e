# SPDX-License-Identifier: Apache-2.0
"""The cost model against what it stands for: the plan, the linked image, and its own tables."""
from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mcunas.board import Board
from mcunas.compiler import compile_graph
from mcunas.compiler.features import FEATURES, LANES, call_features, op_features
from mcunas.compiler.lower import candidates
from mcunas.compiler.tables import code_table
from mcunas.compiler.windows import edges
from mcunas.cost import estimate
from mcunas.cost.estimate import shapes_of
from mcunas.cost.fit_layers import one_op
from mcunas.device import build
from mcunas.errors import InputError
from mcunas.graph import Graph
from mcunas.graph.from_torch import from_torch
from tests.prune.nets import residual, settled


@pytest.mark.parametrize("key", ["mps2-an386", "mps2-an385-m0plus", "mps3-an547"])
def test_ram_is_the_plan_and_flash_is_the_image_within_one_percent(key: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    board, graph = Board.load(key), from_torch(settled(residual()), torch.rand(8, 1, 8, 8))
    cost = estimate(graph, board)
    compiled = compile_graph(graph, board)
    assert cost.ram_bytes == compiled.plan.arena_bytes
    image = build(compiled, board, tmp_path)
    assert cost.image_bytes == pytest.approx(image.manifest["build"]["flash_bytes"], rel=0.01)
    assert cost.macs == compiled.manifest["macs"]
    assert "held-out" in cost.source and "model (±" in cost.source


@pytest.mark.parametrize(("goal", "within"), [("cycles", 0.01), ("flash", 0.05), ("ram", 0.05)])
def test_images_of_the_other_goals_are_predicted(goal: str, within: float, tmp_path: Path) -> None:
    torch.manual_seed(0)
    board, graph = Board.load("mps2-an386"), from_torch(settled(residual()), torch.rand(8, 1, 8, 8))
    image = build(compile_graph(graph, board, goal), board, tmp_path)
    predicted = estimate(graph, board, goal=goal).image_bytes
    assert predicted == pytest.approx(image.manifest["build"]["flash_bytes"], rel=within)


def test_every_board_has_its_tables() -> None:
    graph = from_torch(settled(residual()), torch.rand(8, 1, 8, 8))
    for key in Board.keys():
        cost = estimate(graph, Board.load(key))
        assert cost.instructions > 0 and cost.latency_us > 0


def test_a_kernel_for_an_instruction_set_is_priced_like_its_portable_form_until_it_is_measured() -> None:
    table = code_table(Board.load("mps2-an386"))
    assert table.code("mn_conv_s8_other") == table.code("mn_conv_s8") != table.code("mn_nonsense")


def test_a_board_without_tables_says_how_to_get_them(tmp_path: Path) -> None:
    source = Board.load("mps2-an386").path
    (tmp_path / "mine.toml").write_text(source.read_text().replace('"cortex-m4"', '"cortex-m99"', 1))
    graph = one_op("MUL", [(1, 4, 4, 2), (1, 4, 4, 2)], {"activation": "NONE"})
    with pytest.raises(InputError, match=r"no cost table \S+-cortex-m99.toml; run python -m mcunas.cost"):
        estimate(graph, Board.load(tmp_path / "mine.toml"))


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    source = Board.load("mps2-an386").path
    shutil.copytree(source.parent / "cost", tmp_path / "cost")
    shutil.copy(source, tmp_path / "mine.toml")
    (tmp_path / "cost" / "kernels-cortex-m4.toml").write_text('source = "x"\n')
    graph = one_op("MUL", [(1, 4, 4, 2), (1, 4, 4, 2)], {"activation": "NONE"})
    with pytest.raises(InputError, match="damaged cost table"):
        estimate(graph, Board.load(tmp_path / "mine.toml"))


def test_features_of_a_padded_convolution_counted_by_hand() -> None:
    attrs = {"padding": "SAME", "stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1}
    found = dict(zip(FEATURES, op_features("CONV_2D", attrs, [(1, 4, 4, 2), (5, 3, 3, 2), (5,)], (1, 4, 4, 5))))
    assert found["macs"] == 16 * 9 * 2 * 5 and found["outputs"] == 80 and found["taps"] == 16 * 18
    assert found["edge"] == 12 * 9 * 5                      # 4 of 16 pixels lie inside
    assert found["border"] == (16 * 9 - 10 * 10) * 2 * 5    # per axis 2 + 3 + 3 + 2 positions lie inside
    assert found["edge_taps"] == 12 * 9 * 2
    assert found["out_tail"] == 16 * 18 * (5 % LANES) and found["loose"] == 16 * 3 * (6 % LANES)
    assert found["out_odd"] == 16 * 18 and found["depth_pad"] == 16 * 5 * 3 * 2      # rows of 3 x 2 values, filled to 8
    assert found["singles"] == 16                           # at a side each; the two between have become partners of these
    assert found["inside"] == found["macs"] - found["border"]


def test_pixels_put_together_alone_are_those_that_the_kernel_walks_alone() -> None:
    """Against the walk of firmware/kernels/mn_conv_walk_dsp.h, step by step."""
    random = np.random.default_rng(0)
    for _ in range(200):
        side, k, stride, same = (int(random.integers(*ends)) for ends in ((7, 20), (2, 8), (1, 4), (0, 2)))
        count = -(-side // stride) if same else (side - k) // stride + 1
        pad = max((count - 1) * stride + k - side, 0) // 2 if same else 0
        attrs = dict(zip(("stride_h", "stride_w", "dilation_h", "dilation_w"), (stride, stride, 1, 1)),
                     padding="SAME" if same else "VALID")
        first = min(-(-pad // stride), count)
        end = first + max(min((side + pad - k) // stride + 1, count) - first, 0)
        alone, waits = 0, False
        for _ in range(count):
            x = 0
            while x < count:
                pairs = (end - x) // 2 if x >= first and not waits else 0
                alone, waits = (alone, waits) if pairs > 0 else (alone + 1, not waits)
                x += 2 * pairs if pairs > 0 else 1
        found = edges(attrs, (1, side, side, 3), (k, k), (1, count, count, 3))
        assert found.singles == alone and found.crossing == count**2 - (end - first)**2


def test_what_shapes_do_not_tell_of_a_layer_is_told_by_its_calls() -> None:
    conv = {"stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "padding": "SAME"}

    def features(graph: Graph) -> dict[str, float]:
        op, out = graph.ops[0], graph.tensors[graph.outputs[0]].shape
        calls = candidates(graph, op, "dsp")["dsp" if op.kind == "CONV_2D" else "scalar"]
        assert call_features(op, shapes_of(graph, op), out, [call.bare() for call in calls]) == call_features(
            op, shapes_of(graph, op), out, calls)
        return dict(zip(FEATURES, call_features(op, shapes_of(graph, op), out, calls)))

    plain, limited, signed = (features(one_op("CONV_2D", [(1, 6, 6, 4), (8, 3, 3, 4)], conv | {"activation": a}))
                              for a in ("RELU", "RELU6", "NONE"))
    assert [f["long_outputs"] for f in (plain, limited, signed)] == [0, 0, 288]
    assert [f["clamped"] for f in (plain, limited, signed)] == [0, 288, 0]
    joined = features(one_op("CONCATENATION", [(1, 4, 5, 40), (1, 4, 5, 24)], {"axis": 3, "activation": "NONE"}))
    spread = features(one_op("DEPTH_TO_SPACE", [(1, 3, 3, 4)], {"block_size": 2}))
    assert (joined["moves"], joined["scattered"]) == (40, 0) and spread["scattered"] == 36


def test_soft_features_equal_the_exact_ones_at_whole_blocks() -> None:
    attrs = {"padding": "SAME", "stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1}

    def features(c, k) -> list[float]:
        return [float(f) for f in op_features("CONV_2D", attrs, [(1, 4, 4, c), (k, 3, 3, c), (k,)], (1, 4, 4, k))]

    assert features(torch.tensor(16.0), torch.tensor(24.0)) == features(16, 24)
