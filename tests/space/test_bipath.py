# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torch import nn

from mcunas.space.bipath import SETTLE_STEPS, BiPath, Bracket, follow
from mcunas.space.hidden import Hidden


def _walk(best: int, most: int, least: int = 4, grain: int = 4) -> tuple[int, int]:
    """(width found, moves) where the width nearest to `best` wins."""
    bracket, moves = Bracket.start(most, least, grain), 0
    while bracket.chosen is None and moves < 100:
        bracket, moves = bracket.after(abs(bracket.hi - best) < abs(bracket.lo - best)), moves + 1
    return bracket.chosen, moves


@pytest.mark.parametrize("most", [32, 48, 64, 20])
def test_the_bracket_finds_the_best_width_of_the_range(most: int) -> None:
    for best in range(4, most + 1, 4):
        found, moves = _walk(best, most)
        assert found == best, (found, best)
        assert moves <= 12


def _hidden(block: nn.Module) -> Hidden:
    return Hidden(block[0], [block[1], block[3], block[4]], block[6])


def _bipath(seed: int = 0, least: int = 4) -> BiPath:
    torch.manual_seed(seed)
    block = nn.Sequential(nn.Conv2d(3, 32, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
                          nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
                          nn.Conv2d(32, 5, 1))
    for m in (block[1], block[4]):
        nn.init.uniform_(m.weight, 0.5, 1.5)
    return BiPath(block, _hidden, least=least, grain=4)


def _vote(path: BiPath, is_hi: bool) -> None:
    with torch.no_grad():
        path.theta.copy_(torch.tensor([0.0, 1.0] if is_hi else [1.0, 0.0]))


@pytest.mark.parametrize("is_hi", [False, True])
def test_a_move_keeps_the_winner_and_derives_the_other_from_it(is_hi: bool) -> None:
    path, random, x = _bipath().eval(), torch.Generator().manual_seed(0), torch.randn(2, 3, 6, 6)
    for wins in (False, is_hi):
        path.gate = int(wins)
        before = path(x)
        _vote(path, wins)
        path.move(random)
        path.gate = int(not wins)           # the winner is the other end of the next bracket
        assert torch.equal(path(x), before)
    assert path.widths == ((24, 28) if is_hi else (8, 16))
    assert [_hidden(path.paths[name]).channels for name in ("lo", "hi")] == list(path.widths)
    assert path.theta.tolist() == [0, 0]
    if is_hi:
        path.gate = 1                       # the grown copy does what the winner did, until it has learnt more
        torch.testing.assert_close(path(x), before)


def test_the_least_important_channels_are_cut() -> None:
    path = _bipath()
    _vote(path, False)
    importance = _hidden(path.paths["lo"]).importance()
    kept = importance.argsort(descending=True)[:16].sort().values
    weight = path.paths["lo"][6].weight.detach().clone()
    path.move(torch.Generator())
    cut = path.paths["lo"]
    assert torch.equal(cut[6].weight, weight[:, kept]) and cut[3].groups == 16 and cut[1].num_features == 16


def test_the_optimizer_forgets_the_loser_and_learns_the_copy() -> None:
    path, x = _bipath(), torch.randn(2, 3, 6, 6)
    optimizer = torch.optim.SGD(path.weights(), 0.1, momentum=0.9)

    def step(gate: int) -> None:
        path.gate = gate
        optimizer.zero_grad(set_to_none=True)
        path(x).square().mean().backward()
        optimizer.step()

    step(0), step(1)
    winner = path.paths["lo"][0].weight
    _vote(path, False)
    path.move(torch.Generator())
    follow(optimizer, path.weights())
    assert len(optimizer.state) == len(path.paths["hi"].state_dict()) - 6      # batch norms' statistics have no momentum
    assert path.paths["hi"][0].weight is winner and "momentum_buffer" in optimizer.state[winner]
    before = path.paths["lo"][0].weight.detach().clone()
    step(0)
    assert not torch.equal(path.paths["lo"][0].weight, before)


def test_theta_learns_from_both_paths_and_weights_do_not_see_it() -> None:
    path = _bipath()
    path.draw(torch.Generator().manual_seed(0), 1.0, learns=True)
    path(torch.randn(2, 3, 6, 6)).square().sum().backward()
    assert path.theta.grad.abs().sum() > 0
    path.theta.grad = None
    path.draw(torch.Generator().manual_seed(0), 1.0, learns=False)
    path(torch.randn(2, 3, 6, 6)).square().sum().backward()
    assert path.theta.grad is None
    assert path.expected(2, 6).item() == pytest.approx(4)


def test_theta_rests_after_a_move() -> None:
    path, random = _bipath(), torch.Generator().manual_seed(0)
    _vote(path, False)
    path.move(random)
    assert path.resting == SETTLE_STEPS and not path.stepped() and path.steps == 0
    path.draw(random, 1.0, learns=True)
    assert isinstance(path.gate, int) and not path.expected(2, 6).requires_grad
    for _ in range(SETTLE_STEPS):
        path.draw(random, 1.0, learns=False)
    path.draw(random, 1.0, learns=True)
    assert path.gate.requires_grad and path.expected(2, 6).requires_grad


def test_a_search_resumes_from_its_state_and_ends_with_one_path() -> None:
    path, again = _bipath(), _bipath(1)
    _vote(path, False)
    path.move(torch.Generator())
    again.load(path.state())
    again.load_state_dict(path.state_dict())
    assert again.bracket == path.bracket
    x = torch.randn(2, 3, 6, 6)
    assert torch.equal(again.eval()(x), path.eval()(x))
    path.settle()
    assert path.is_done and list(path.paths) == ["hi"]
    assert _hidden(path.paths["hi"]).channels == path.bracket.chosen == 24
    assert _bipath(least=32).is_done
