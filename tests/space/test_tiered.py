# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from mcunas.board import Board
from mcunas.space import sampling
from mcunas.space.inner_price import InnerPrices
from mcunas.space.price import Prices
from mcunas.space.space import INLINE, Space, load
from mcunas.space.tiered import TieredSupernet

DESCRIBED = {"options": ["conv1x1", "mb3_e4", "skip"], "stem": {"kernel": [3, 3], "channels": 8, "stride": [2, 2]},
             "stages": [{"channels": 8, "stride": 1, "slots": 3}]}


@pytest.fixture(scope="module")
def space() -> Space:
    return load(INLINE, DESCRIBED, (8, 8, 1), 4)


def _net(space: Space, **settings: object) -> TieredSupernet:
    torch.manual_seed(0)
    net = TieredSupernet(space, {s.name: s.options for s in space.slots}, **settings)
    net.random = torch.Generator().manual_seed(0)
    return net


def test_what_is_skipped_once_is_skipped_behind(space: Space) -> None:
    net, random = _net(space), torch.Generator().manual_seed(0)
    assert "skip" not in net.slots["s0_0"].options and net.removable("s0") == ["s0_1", "s0_2"]
    seen = set()
    for _ in range(30):
        with torch.no_grad():
            gates = net.gates(lambda block: sampling.single(block, random))
        seen.add(tuple(net.slots[s].names[gates[s].run[0]] == "skip" for s in net.slots))
    assert seen == {(False, False, False), (False, False, True), (False, True, True)}
    gates = net.gates(lambda block: sampling.mixture(block))
    ends = [gates[s].weights[net.slots[s].index("skip")].item() for s in ("s0_1", "s0_2")]
    assert ends == pytest.approx([1 / 3, 1 / 3 + 2 / 3 * 1 / 3])
    assert gates["s0_2"].weights.sum().item() == pytest.approx(1)


def test_the_extracted_network_is_the_supernets_path(space: Space) -> None:
    net = _net(space).eval()
    choices = {"s0_0": "mb3_e4", "s0_1": "conv1x1", "s0_2": "skip"}
    path = net.inner()["s0_0", "mb3_e4"]
    for likelier in (0, 1):
        with torch.no_grad():
            path.theta.copy_(torch.eye(2)[likelier])
        x, extracted = torch.randn(2, 1, 8, 8), net.extract(choices)
        torch.testing.assert_close(extracted(x), net(x, net.path(choices)), atol=1e-5, rtol=1e-5)
        assert net.widths_of(choices) == {"s0_0": path.widths[likelier]}
    assert not {id(path.theta) for path in net.inner().values()} & {id(p) for p in net.weights()}


def test_the_price_of_a_width_is_that_of_its_block(space: Space) -> None:
    net, prices = _net(space), Prices(space, Board.load("mps2-an386"))
    choices = {"s0_0": "mb3_e4", "s0_1": "conv1x1", "s0_2": "conv1x1"}
    whole = prices.anchor(space.genotype(choices))
    weights = dict(zip(net.slots, net.weights_of(net.path(choices))))
    path = net.inner()["s0_0", "mb3_e4"]
    added = InnerPrices(prices)
    for likelier, width in enumerate(path.widths):
        with torch.no_grad():
            path.theta.copy_(50.0 * torch.eye(2)[likelier])
        exact = prices.exact(space.genotype(choices, {"s0_0": width}))
        found = added.added(net, weights, prices.expected(weights, net.names()))
        assert found.cycles.item() == pytest.approx(exact.cycles, rel=0.02)
        assert found.flash_bytes.item() == pytest.approx(exact.flash_bytes, rel=0.02)
        assert found.ram_bytes.max().item() == pytest.approx(exact.ram_bytes, rel=0.05)
    assert exact.cycles == whole.cycles


def test_what_a_checkpoint_holds_brings_widths_and_weights_back(space: Space) -> None:
    net, other = _net(space), _net(space)
    path = net.inner()["s0_1", "mb3_e4"]
    with torch.no_grad():
        path.theta[0] = 1
    path.move(torch.Generator())
    net.kill("s0_2", "mb3_e4")
    other.keep(net.alive())
    other.load_inner(net.inner_state())
    other.load_state_dict(net.state_dict())
    assert other.inner()["s0_1", "mb3_e4"].widths == path.widths != net.inner()["s0_0", "mb3_e4"].widths
