# SPDX-License-Identifier: Apache-2.0
"""Searches in a space: every method ends within the budget, resumes to the same result, and keeps its data apart."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import mcunas
from mcunas import tasks
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.cost import estimate
from mcunas.errors import DoesNotFit, InputError
from mcunas.search import fbnet, random_space
from mcunas.search.nas.derive import by_probability, derive
from mcunas.search.nas.run import NasRun
from mcunas.search.nas.shared import Shared
from mcunas.search.result import Result
from mcunas.search.settings import settings_of
from mcunas.space import sampling
from mcunas.space import space as spaces
from mcunas.space.price import Expected, usage
from mcunas.tasks import Schedule

BOARD = Board.load("mps2-an386")
SMALL = {"options": ["conv3x3", "ds3", "linear3x3", "skip"], "stem": {"kernel": [3, 3], "channels": 4, "stride": [2, 2]},
         "stages": [{"channels": 4, "stride": 1, "slots": 2}, {"channels": 8, "stride": 2, "slots": 1}]}
SHORT = Schedule(prune_epochs=3, finetune_epochs=1, qat_epochs=1, warmup_epochs=1, batch=32, epoch_samples=160,
                 measured_images=20)
BUDGET = Budget(ram="2 KiB", flash="7 KiB", latency="3.2 ms")


class Stop(Exception):
    pass


def _search(out: Path, method: str = "fbnet", budget: Budget = BUDGET, **changes) -> Result:
    asked = {"schedule": SHORT, "start": "space", "options": SMALL, "seed": 1, **changes}
    return mcunas.search("digits", BOARD, budget, method=method, out=out, **asked)


def _run(out: Path, budget: Budget = BUDGET, **settings) -> NasRun:
    task = tasks.load("digits").sealed()
    space = spaces.load("space", SMALL, task.input_shape, task.classes)
    run = NasRun(task, BOARD, budget.for_board(BOARD), "fbnet", space, SHORT, 1, out, None, settings_of("fbnet", settings))
    run.feasible = run.prices.feasible(run.budget)
    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return _search(tmp_path_factory.mktemp("run"))


@pytest.mark.parametrize(("method", "settings"), [("fbnet", {}), ("random-space", {"candidate_epochs": 1}),
                                                  ("always", {"option": "ds3"})])
def test_every_method_ends_within_every_budget(method: str, settings: dict, finished: Result, tmp_path: Path) -> None:
    result = finished if method == "fbnet" else _search(tmp_path, method, settings=settings)
    assert max(result.metrics["budget_use"].values()) <= 1
    search = {"fbnet": 1 * 128 + 2 * (128 + 32), "random-space": 3 * (160 + 180), "always": 0}[method]
    assert result.metrics["ledger"]["samples"] == search + 160
    assert (result.metrics["ledger"]["option_forwards"] > 0) == (method == "fbnet")


def test_a_search_ends_as_int8_at_the_promised_price_and_comes_back_from_its_folder(finished: Result) -> None:
    model, again = mcunas.quantize(Result.load(finished.out)), _search(finished.out)
    found, said = estimate(model.graph, BOARD, ram_bytes=finished.budget.ram_bytes), finished.cost
    assert found.ram_bytes <= said.ram_bytes and found.flash_bytes <= said.flash_bytes and found.cycles <= said.cycles
    assert again.genotype == finished.genotype and again.cost == finished.cost
    images = torch.rand(3, 1, 16, 16)
    assert torch.equal(again.model(images), finished.model(images))


def test_an_interrupted_search_resumes_to_the_same_weights(finished: Result, tmp_path: Path) -> None:
    def stop(phase: str, done: int, total: int, figures: dict) -> None:
        if stop.at == (phase, done):
            raise Stop

    for stop.at in (("search", 2), ("search", 3), ("train", 1)):
        with pytest.raises(Stop):       # the figures are shown before the checkpoint is written: that epoch is lost
            _search(tmp_path, progress=stop)
    result = _search(tmp_path)
    assert result.genotype == finished.genotype
    facts, whole = result.metrics["facts"], finished.metrics["facts"]
    assert facts | {"exact_prices": 0} == whole | {"exact_prices": 0}
    assert facts["exact_prices"] >= whole["exact_prices"]       # what was asked before counts; some is asked again
    for name, tensor in finished.model.state_dict().items():
        assert torch.equal(tensor, result.model.state_dict()[name]), name


def test_weights_architecture_and_validation_never_share_an_image(tmp_path: Path) -> None:
    run = _run(tmp_path)
    parts = [run.splits.weights.train, run.splits.arch.train, run.task.validation]
    images = [{image.tobytes() for image in part.images} for part in parts]
    assert not images[0] & images[1] and not images[2] & (images[0] | images[1]) and len(run.task.test) == 0
    assert len(parts[0]) + len(parts[1]) == len(run.task.train)
    assert len(parts[1]) / len(run.task.train) == pytest.approx(0.2, abs=0.04)
    assert run.weight_steps == 4 and run.arch_steps == 1
    drawn = torch.cat([x for x, _ in run.weight_batches(0)])
    again = torch.cat([x for x, _ in run.weight_batches(0)])
    assert torch.equal(drawn, again) and not torch.equal(drawn, torch.cat([x for x, _ in run.weight_batches(1)]))


def test_alpha_moves_in_architecture_steps_only_and_weights_in_weight_steps_only(tmp_path: Path) -> None:
    run = _run(tmp_path)
    shared, random = Shared(run, 0.03), run.noise(0)
    images, labels = next(run.weight_batches(0))

    def copies() -> tuple[list, list]:
        return [p.clone() for p in shared.net.arch()], [p.clone() for p in shared.net.weights()]

    def draw(block: sampling.ChoiceBlock) -> sampling.Gate:
        return sampling.gumbel(block, 1.0, random)

    arch, weights = copies()
    shared.weight_step(images, labels, draw)
    moved_arch, moved_weights = copies()
    assert all(map(torch.equal, arch, moved_arch)) and not any(map(torch.equal, weights[:1], moved_weights[:1]))
    shared.arch_step(images, labels, draw, lambda gates: shared.hinge(shared.expected(gates), 1.0))
    arch, weights = copies()
    assert all(map(torch.equal, weights, moved_weights)) and not any(map(torch.equal, arch, moved_arch))


def test_the_papers_loss_is_a_product_and_ours_asks_for_nothing_below_the_budget(tmp_path: Path) -> None:
    run = _run(tmp_path, loss="product")
    shared = Shared(run, 0.03)
    gates = shared.net.gates(sampling.mixture)
    lat = shared.expected(gates).cycles / 1e3
    torch.testing.assert_close(fbnet.cost(run, shared, gates, 0.5), 0.2 * lat.log() ** 0.6)
    below = Expected(torch.tensor(100.0), torch.tensor(100.0), torch.full((3,), 100.0))
    shared.hinge.begin(2.3, below)
    assert float(shared.hinge(below, 1.0)) == 0
    over = Expected(torch.tensor(shared.hinge.limits[0] * 1.5), torch.tensor(100.0), below.ram_bytes)
    assert float(shared.hinge(over, 1.0)) == pytest.approx(2.3 / 0.25 * 0.5)
    assert float(shared.hinge(over, 0.0)) == pytest.approx(0.01 * 2.3 / 0.25 * 0.5)
    limit = shared.hinge.limits[2]
    ram_bytes = torch.tensor([limit / 2, 1.5 * limit, 0.9 * limit], requires_grad=True)
    asked = shared.hinge(Expected(torch.tensor(100.0), torch.tensor(100.0), ram_bytes), 1.0)
    asked.backward()
    assert float(asked.detach()) == pytest.approx(2.3 / 0.25 * 0.5) and (ram_bytes.grad > 0).tolist() == [False, True, False]


def test_frozen_alpha_stays_and_shuffled_prices_stand_elsewhere(tmp_path: Path) -> None:
    frozen = _search(tmp_path / "frozen", settings={"placebo": "frozen"}, schedule=Schedule(**{**SHORT.__dict__,
                                                                                              "prune_epochs": 2}))
    assert frozen.metrics["facts"]["entropy"] > 0.999
    run = _run(tmp_path, placebo="shuffled")
    shared = Shared(run, 0.03)
    probs = {name: torch.arange(float(len(block.names))) for name, block in shared.net.choices().items()}
    moved, again = fbnet._shuffled(run, probs), fbnet._shuffled(run, probs)
    assert all(sorted(p.tolist()) == probs[n].tolist() and torch.equal(p, again[n]) for n, p in moved.items())
    assert any(p.tolist() != probs[n].tolist() for n, p in moved.items())


def test_networks_come_in_the_order_of_their_probability() -> None:
    probs = {"s0_0": {"a": 0.6, "b": 0.3, "c": 0.1}, "s0_1": {"a": 0.2, "b": 0.8}}
    found = list(by_probability(probs))
    worth = [probs["s0_0"][c["s0_0"]] * probs["s0_1"][c["s0_1"]] for c in found]
    assert len(found) == len({tuple(c.values()) for c in found}) == 6 and worth == sorted(worth, reverse=True)


def test_a_network_over_the_budget_is_repaired_by_the_nearest_that_fits(tmp_path: Path) -> None:
    run = _run(tmp_path)
    wanted = {s.name: {o: 0.97 if o == "conv3x3" else 0.01 for o in run.feasible[s.name]} for s in run.space.slots}
    heavy = run.space.uniform("conv3x3")
    assert max(usage(run.prices.exact(heavy), run.budget).values()) > 1
    found = derive(run, wanted)
    assert run.prices.fits(found, run.budget) and run.facts["changed_slots"] == 1
    assert run.facts["argmax"] == heavy.choices and run.facts["argmax_use"]["latency"] > 1


def test_a_budget_that_nothing_meets_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(DoesNotFit, match="even the lightest network of space 'space'") as caught:
        _search(tmp_path, budget=Budget(latency="0.2 ms"))
    assert "\n" not in str(caught.value) and not (tmp_path / "checkpoint.pt").exists()


def test_random_search_ends_when_all_networks_that_fit_have_been_tried(tmp_path: Path) -> None:
    run = _run(tmp_path)
    run.settings = settings_of("random-space", {})
    first = random_space.draw(run, 0, set())
    run.feasible = {slot: (option,) for slot, option in first.choices.items()}
    assert random_space.draw(run, 0, set()) == first and random_space.draw(run, 1, {first.key}) is None


@pytest.mark.parametrize(("changes", "said"), [
    ({"settings": {"loss": "sum"}}, "fbnet has no loss 'sum'"), ({"settings": {"rates": 1}}, "has no setting 'rates'"),
    ({"start": "nowhere"}, "unknown space 'nowhere'; use one of boxes"),
    ({"method": "ran-implicit", "settings": {"option": "mb9"}}, "no slot can take 'mb9'"),
    ({"method": "always", "settings": {"option": "conv5x5"}}, "no slot can take 'conv5x5'; use one of conv3x3")])
def test_what_a_search_does_not_know_is_refused_in_words(changes: dict, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        _search(tmp_path, **changes)


def test_a_split_depends_on_nothing_but_the_images() -> None:
    from mcunas.search.nas.splits import split
    from mcunas.tasks import Split

    task = tasks.load("digits")
    turned = np.random.default_rng(0).permutation(len(task.train))
    other = type(task)(**{**task.__dict__, "train": Split(task.train.images[turned], task.train.labels[turned])})
    arch = [{i.tobytes() for i in split(t, 0.2).arch.train.images} for t in (task, other)]
    assert arch[0] == arch[1]
    with pytest.raises(InputError, match="leaves a part empty"):
        split(task, 0.0)
