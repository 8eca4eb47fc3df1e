# SPDX-License-Identifier: Apache-2.0
"""Spaces as data, their supernet, and prices before training."""
from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.cli import main
from mcunas.cost import estimate
from mcunas.device.alone import simulated
from mcunas.errors import DoesNotFit, InputError
from mcunas.graph.from_torch import from_torch
from mcunas.quantize.fold import fold
from mcunas.space import sampling
from mcunas.space import space as spaces
from mcunas.space.price import Prices
from mcunas.space.supernet import Supernet

BOARD = Board.load("mps2-an386")
INPUTS = {"boxes": (64, 64, 1), "digits": (16, 16, 1), "images": (32, 32, 3), "pixels": (14, 14, 1), "series": (128, 1, 6),
          "spectrogram": (49, 10, 1)}
OUTPUTS = {"boxes": (1, 9, 8, 8), "pixels": (1, 5, 28, 28)}
SMALL = {"options": ["conv3x3", "ds3", "mb3_e2", "ghost", "skip"],
         "stem": {"kernel": [3, 3], "channels": 4, "stride": [2, 2]},
         "stages": [{"channels": 4, "stride": 1, "slots": 2}, {"channels": 8, "stride": 2, "slots": 2}]}


@pytest.fixture(scope="module")
def space() -> spaces.Space:
    return spaces.load("space", SMALL, (16, 16, 1), 10)


@pytest.fixture(scope="module")
def prices(space: spaces.Space) -> Prices:
    return Prices(space, BOARD, simulator=simulated)


def test_there_is_a_space_for_every_kind_of_input() -> None:
    assert spaces.names() == sorted(INPUTS)
    for name, shape in INPUTS.items():
        head = name if name in OUTPUTS else "classes"
        assert spaces.space_for(shape, head=head) == name
        space = spaces.load(name, {}, shape, 5)
        wanted = OUTPUTS.get(name, (1, 5))
        for option in ("ds3", "skip"):
            with torch.no_grad():
                assert space.uniform(option).build_dense().eval()(torch.zeros(1, shape[2], *shape[:2])).shape == wanted
    with pytest.raises(InputError, match="no space is made for inputs of"):
        spaces.space_for((4, 4, 1))


@pytest.mark.parametrize(("change", "said"), [
    ({"depth": 3}, "unknown key 'depth'"), ({"stages": []}, "it has no slots"),
    ({"stages": [{"channels": 4, "stride": 2, "slots": 1, "options": ["skip"]}]}, "slot s0_0: none of the options skip"),
    ({"stages": [{"channels": 4, "slots": 1}]}, "not the description of a space .KeyError"),
    ({"options": ["conv9x9"]}, "unknown block 'conv9x9'")])
def test_a_wrong_description_is_refused_in_words(change: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        spaces.load("digits", change, (16, 16, 1), 10)


def test_a_description_may_be_the_users_own_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('options = ["ds3"]\nstem = { kernel = [3, 3], channels = 4, stride = [1, 1] }\n'
                    "[[stages]]\nchannels = 8\nstride = 2\nslots = 1\n")
    found = spaces.load(str(path), {}, (8, 8, 1), 3).uniform("ds3")
    path.unlink()
    assert found.build_dense()(torch.zeros(2, 1, 8, 8)).shape == (2, 3)     # the genotype holds the description
    with pytest.raises(InputError, match="cannot be read"):
        spaces.load(str(tmp_path / "none.toml"), {}, (8, 8, 1), 3)


def test_a_users_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path, text = tmp_path / "mine.toml", (spaces.FOLDER / "images.toml").read_text()
    found = []
    for channels in (8, 12):
        path.write_text(re.sub(r"channels = \d+", f"channels = {channels}", text, count=1))
        found.append(spaces.load(str(path), {}, (28, 28, 1), 10).stem[1])
    assert found == [8, 12]


def test_what_is_extracted_answers_like_the_path_through_the_supernet(space: spaces.Space) -> None:
    torch.manual_seed(0)
    net, x = Supernet(space), torch.rand(8, 1, 16, 16)
    net(x, net.gates(sampling.mixture))                             # statistics that are not the first ones
    net.eval()
    for choices in ({"s0_0": "ghost", "s0_1": "skip", "s1_0": "mb3_e2", "s1_1": "ds3"}, space.uniform("skip").choices):
        found = net.extract(choices)
        torch.testing.assert_close(found(x), net(x, net.path(choices)), rtol=1e-5, atol=1e-5)
        assert not {id(p) for p in found.parameters()} & {id(p) for p in net.parameters()}


def test_alpha_is_no_weight_and_a_killed_option_leaves_every_optimizer(space: spaces.Space) -> None:
    net = Supernet(space)
    arch, weights = {id(p) for p in net.arch()}, {id(p) for p in net.weights()}
    assert len(arch) == 4 and not arch & weights and len(arch) + len(weights) == len(list(net.parameters()))
    optimizer = torch.optim.SGD(net.weights(), lr=0.1, momentum=0.9)
    net(torch.rand(2, 1, 16, 16), net.gates(sampling.mixture)).sum().backward()
    optimizer.step()
    gone = {id(p) for p in net.slots["s1_0"].options["conv3x3"].parameters()}
    net.kill("s1_0", "conv3x3", optimizer)
    held = {id(p) for p in optimizer.state} | {id(p) for g in optimizer.param_groups for p in g["params"]}
    assert gone and not gone & held and "conv3x3" not in net.alive()["s1_0"]
    other = Supernet(space)
    other.keep(net.alive())
    other.load_state_dict(net.state_dict())


def test_the_expected_price_is_exact_at_its_anchor_and_near_elsewhere(space: spaces.Space, prices: Prices) -> None:
    net = Supernet(space)
    found = {"s0_0": "conv3x3", "s0_1": "mb3_e2", "s1_0": "ghost", "s1_1": "skip"}
    cost = prices.anchor(space.genotype(found))
    at = prices.expected(dict(zip(net.slots, net.weights_of(net.path(found)))))
    assert float(at.cycles) == pytest.approx(cost.cycles, rel=1e-5)
    assert float(at.flash_bytes) == pytest.approx(cost.flash_bytes, rel=1e-5)
    for option in ("conv3x3", "ds3", "mb3_e2", "skip"):
        exact, (cycles, flash_bytes) = prices.exact(space.uniform(option)), prices.added(space.uniform(option))
        assert cycles == pytest.approx(exact.cycles, rel=0.08)          # but for what the compiler does across borders
        assert flash_bytes == pytest.approx(exact.flash_bytes, rel=0.02)
    p = {name: block.probs() for name, block in net.choices().items()}
    prices.expected(p).cycles.backward()
    slope = net.slots["s0_0"].alpha.grad
    assert slope[net.slots["s0_0"].index("conv3x3")] > slope[net.slots["s0_0"].index("skip")]


def test_the_price_before_training_is_that_of_the_int8_network(space: spaces.Space, prices: Prices) -> None:
    genotype = space.genotype({"s0_0": "ghost", "s0_1": "ds3", "s1_0": "conv3x3", "s1_1": "mb3_e2"})
    torch.manual_seed(3)
    x = torch.rand(16, 1, 16, 16)
    graph = from_torch(fold(genotype.build_dense().eval(), x[:1]), x, (1 / 255, -128))
    said, found = prices.exact(genotype), estimate(graph, BOARD, simulator=simulated)
    assert (said.ram_bytes, said.flash_bytes, said.cycles) == (found.ram_bytes, found.flash_bytes, found.cycles)
    calls = prices.calls
    assert prices.exact(genotype) == said and prices.calls == calls


def test_a_space_is_explained_by_what_each_option_costs(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('options = ["conv1x1", "conv3x3", "skip"]\nstem = { kernel = [3, 3], channels = 4, stride = [2, 2] }\n'
                    "[[stages]]\nchannels = 8\nstride = 2\nslots = 2\n")
    said = {}
    for space, status in ((path, 0), ("nowhere", 2)):
        with pytest.raises(SystemExit) as done:
            main(["explain", "--task", "digits", "--space", str(space), "--json"])
        assert done.value.code == status
        said[status] = capsys.readouterr()
    found = json.loads(said[0].out)
    cost = {o["name"]: o["cycles"] for o in found["slots"][1]["options"]}
    assert [s["slot"] for s in found["slots"]] == ["s0_0", "s0_1"] and found["networks"] == 2 * 3
    assert cost["skip"] == 0 < cost["conv1x1"] < cost["conv3x3"] and "unknown space 'nowhere'" in said[2].err


def test_what_can_never_fit_is_taken_away_before_the_search(space: spaces.Space, prices: Prices) -> None:
    around = {"s0_0": "skip", "s0_1": "skip", "s1_0": "conv3x3", "s1_1": "skip"}
    least, one = (prices.exact(space.genotype({**around, "s1_1": o})).flash_bytes for o in ("skip", "mb3_e2"))
    found = prices.feasible(Budget(flash=(least + one) // 2).for_board(BOARD))
    assert "mb3_e2" not in found["s1_1"] and "skip" in found["s1_1"]
    assert all(set(options) <= set(space.slot(name).options) for name, options in found.items())
    assert prices.feasible(Budget().for_board(BOARD)) == {s.name: s.options for s in space.slots}
    with pytest.raises(DoesNotFit, match="even the lightest network of space 'space' needs .* times the ram") as caught:
        prices.feasible(Budget(ram=300).for_board(BOARD))
    assert "\n" not in str(caught.value)
