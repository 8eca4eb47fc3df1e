# SPDX-License-Identifier: Apache-2.0
"""mnas, tpe and trade: the factorized space, the reward, the controller, the trust region, the road to a finished run."""
from __future__ import annotations

from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch

import mcunas
from mcunas import tasks
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.errors import CheckFailed, DoesNotFit, InputError
from mcunas.search.asktell.engine import Search
from mcunas.search.asktell.evaluate import ByTraining
from mcunas.search.asktell.fidelity import Fidelity
from mcunas.search.asktell.policy import Policy, PolicySampler, Rule
from mcunas.search.asktell.region import FIRST, MOST, Region, distances, patience
from mcunas.search.asktell.reward import EXPONENTS, reward
from mcunas.search.asktell.trust import TrustRegionSampler
from mcunas.search.asktell.workers import Workers
from mcunas.space import Genotype
from mcunas.space import space as spaces
from mcunas.space.blocks import build
from mcunas.space.blocks.context import Context
from mcunas.space.factored import FAMILIES, MNASNET, Factored
from mcunas.tasks import Schedule
from tests.search.asktell_toy import GENERATION, PROBLEM, Toy

SHORT = Schedule(prune_epochs=2, finetune_epochs=1, qat_epochs=1, warmup_epochs=1, batch=32, epoch_samples=128)
BUDGET = Budget("12 KiB", "40 KiB", "30 ms")
SMALL = {"factors": {"op": ["conv", "ds"], "width": [0.5, 1.0]}, "times": 3.0, "epochs": 1}
ONE = replace(PROBLEM, values=lambda figures: (figures["accuracy"],), directions=("maximize",))


def _space(factors: dict = MNASNET) -> Factored:
    return Factored(spaces.load("digits", {}, (16, 16, 1), 10), factors)


def test_all_layers_of_a_stage_are_alike_and_what_stands_behind_them_is_left_out() -> None:
    space = _space()
    point = {gene: values[0] for gene, values in space.genes.options.items()} | {
        "s0.op": "mb3", "s0.layers": 2, "s0.shortcut": "no", "s0.width": 1.25, "s1.op": "conv", "s1.layers": 1}
    found = space.genotype(point)
    assert found.choices == {"s0_0": "mb3_e3", "s0_1": "mb3_e3_no", "s1_0": "conv3x3", "s1_1": "skip"}
    assert found.widths == {"s0": 20, "s1": 24}
    assert found.build_dense()(torch.zeros(1, 1, 16, 16)).shape == (1, 10)


def test_points_of_one_network_are_one_genotype_and_every_point_is_a_network() -> None:
    space, random = _space({**FAMILIES, "kernel": (3, 5), "shortcut": ("no", "yes")}), np.random.default_rng(0)
    for _ in range(8):
        point = {gene: values[int(random.integers(len(values)))] for gene, values in space.genes.options.items()}
        assert space.genotype(point).build_dense()(torch.zeros(1, 1, 16, 16)).shape == (1, 10)
        one, ghost = {**point, "s1.layers": 1}, {**point, "s0.op": "ghost"}
        assert space.genotype({**one, "s1.shortcut": "no"}) == space.genotype({**one, "s1.shortcut": "yes"})
        assert space.genotype({**ghost, "s0.kernel": 3}) == space.genotype({**ghost, "s0.kernel": 5})
    deep = {**point, "s1.op": "ds", "s1.layers": 2, "s1.kernel": 5, "s1.shortcut": "no"}
    assert space.genotype(deep).choices["s1_1"] == "ds3"        # a kernel of 5 cannot stand on 4x4


def test_a_point_of_another_space_is_refused() -> None:
    with pytest.raises(InputError, match="lacks 's0.op'"):
        _space().genotype({"s1.op": "conv"})
    with pytest.raises(InputError, match="no operation 'dense'"):
        _space({"op": ("dense",)})
    with pytest.raises(InputError, match="not factors of a space: depth"):
        _space({"op": ("conv",), "depth": (1, 2)})


def test_a_shortcut_adds_the_input_where_shapes_allow_and_only_there() -> None:
    x = torch.randn(2, 8, 6, 6)
    for name, plain in (("conv3x3_id", "conv3x3"), ("ds3_id", "ds3")):
        torch.manual_seed(0)
        own = build(name, Context((6, 6), 8, 8)).eval()
        torch.manual_seed(0)
        block = build(plain, Context((6, 6), 8, 8)).eval()
        torch.testing.assert_close(own(x), block(x) + x)
    torch.manual_seed(0)
    without = build("mb3_e2_no", Context((6, 6), 8, 8)).eval()
    torch.manual_seed(0)
    torch.testing.assert_close(without(x) + x, build("mb3_e2", Context((6, 6), 8, 8)).eval()(x))
    assert build("conv3x3_id", Context((6, 6), 8, 12, 2))(x).shape == (2, 12, 3, 3)


def test_the_soft_reward_is_flat_where_twice_the_latency_buys_five_percent() -> None:
    def family(cost: float) -> float:
        return 0.7 * (1 + 0.05 * np.log2(cost))

    soft = [reward(family(c), c, 1.0, EXPONENTS["soft"]) for c in (0.5, 1.0, 2.0, 4.0)]
    assert max(soft) / min(soft) - 1 < 0.004


def test_the_hard_reward_is_largest_at_the_target_and_free_below_it() -> None:
    def family(cost: float) -> float:
        return 0.7 * (1 + 0.05 * np.log2(cost))

    costs = np.linspace(0.25, 4.0, 301)
    hard = [reward(family(c), c, 1.0, EXPONENTS["hard"]) for c in costs]
    assert costs[int(np.argmax(hard))] == pytest.approx(1.0) and hard[0] == family(0.25)
    assert reward(0.8, 2.0, 1.0, EXPONENTS["hard"]) == pytest.approx(0.4)
    assert reward(0.8, 2.0, None, EXPONENTS["hard"]) == 0.8


def test_the_controller_comes_to_prefer_what_is_rewarded_and_forgets_nothing_else() -> None:
    genes = {"a": (0, 1, 2), "b": (0, 1)}
    policy, random = Policy(genes, Rule()), np.random.default_rng(0)
    first = policy.entropy()
    for _ in range(30):
        points = [policy.draw(random) for _ in range(8)]
        policy.update(points, [float(p["a"] == 2) + 0.01 * float(random.standard_normal()) for p in points])
    assert policy.probs()["a"][2] > 0.8 and policy.entropy() < first == pytest.approx(1.0)
    assert min(policy.probs()["b"]) > 0.05      # of no consequence: not decided


def _searched(sampler_of, evaluations: int = 32, seed: int = 0) -> list[float]:
    with Workers() as workers:
        study = optuna.create_study(directions=list(ONE.directions))
        search = Search(study, ONE, sampler_of, Toy(), Fidelity(), seed, GENERATION, workers)
        return [net.figures["accuracy"] for net in search.run(evaluations)]


def test_controller_and_trust_region_find_more_than_draws_by_lot() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    lot = np.mean([max(_searched(lambda s: optuna.samplers.RandomSampler(seed=s), seed=k)) for k in range(5)])
    policy = np.mean([max(_searched(PolicySampler(ONE, GENERATION).seeded, seed=k)) for k in range(5)])
    trust = np.mean([max(_searched(TrustRegionSampler(ONE, GENERATION, k).seeded, seed=k)) for k in range(3)])
    assert policy > lot and trust > lot


def test_a_region_doubles_after_successes_halves_after_failures_and_ends_below_one_gene() -> None:
    region = Region().after([0.1], 4, 4)
    for value in (0.2, 0.3):
        region = region.after([value], 4, 4)
    assert region.length == min(2 * FIRST, MOST) and region.successes == 0
    for _ in range(patience(4, 4)):
        region = region.after([0.3001], 4, 4)           # better, but by less than counts
    assert region.length == min(2 * FIRST, MOST) / 2 and not region.is_spent(4)
    while not region.is_spent(4):
        region = region.after([], 4, 4)
    assert 1 / 8 <= region.reach < 1 / 4
    assert patience(12, 4) == 3 and patience(2, 1) == 4


def test_distance_counts_steps_of_ordered_genes_and_changes_of_others_by_their_weight() -> None:
    points, centre = np.array([[0.0, 1.0], [1.0, 1.0], [0.5, 2.0]]), np.array([0.0, 1.0])
    is_ordered = np.array([True, False])
    assert distances(points, centre, is_ordered, np.ones(2)).tolist() == [0.0, 0.5, 0.75]
    assert distances(points, centre, is_ordered, np.array([2.0, 1.0])).tolist() == [0.0, 0.25, 0.625]


def test_a_trust_region_is_replayed_from_its_study_alone() -> None:
    study = optuna.create_study(direction="maximize")
    sampler = TrustRegionSampler(ONE, GENERATION, 0)
    with Workers() as workers:
        Search(study, ONE, sampler.seeded, Toy(), Fidelity(), 0, GENERATION, workers).run(24)
    generations, again = len(study.trials) // GENERATION, TrustRegionSampler(ONE, GENERATION, 0)
    assert again.region(study.trials, generations) == sampler.region(study.trials, generations)
    assert again.trace[:len(sampler.trace)] == sampler.trace


def test_an_evaluator_looks_as_closely_as_it_is_asked() -> None:
    task, net = tasks.load("digits").sealed(), _space({"op": ("ds",)}).genotype({"s0.layers": 1, "s1.layers": 1})
    plain = ByTraining(task, SHORT, board=Board.load("mps2-an386"))
    given = ByTraining(task, SHORT, weights=_seventh)
    scratch = plain(net, Fidelity("scratch", 1, 32), 0)
    assert scratch["samples"] == 128 and plain(net, Fidelity("scratch", 1, 32), 0)["accuracy"] == scratch["accuracy"]
    assert given(net, Fidelity("supernet"), 0)["samples"] == 0 and given(net, Fidelity("remapped", 2), 0)["samples"] == 256
    integer, board = (plain(net, Fidelity(kind, 1, 16), 0) for kind in ("int8", "board"))
    assert board["accuracy"] == integer["accuracy"] and board["mismatches"] == 0
    assert board["instructions"] > 10_000 and board["board_latency_us"] > 0
    with pytest.raises(InputError, match="needs weights"):
        plain(net, Fidelity("remapped"), 0)
    with pytest.raises(InputError, match="unknown fidelity 'guess'"):
        Fidelity("guess")


def _seventh(genotype: Genotype) -> torch.nn.Module:
    torch.manual_seed(7)
    return genotype.build_dense()


def _found(out: Path, method: str, **changes) -> mcunas.search.Result:
    asked = {"schedule": SHORT, "settings": SMALL, "budget": BUDGET, **changes}
    return mcunas.search.search("digits", Board.load("mps2-an386"), method=method, out=out, **asked)


@pytest.mark.parametrize("method", ["mnas", "tpe", "trade"])
def test_a_search_ends_within_the_budget_and_is_the_same_from_its_study(method: str, tmp_path: Path) -> None:
    settings = {**SMALL, "latency": "priced"} if method == "mnas" else SMALL
    found = _found(tmp_path, method, settings=settings)
    assert max(found.metrics["budget_use"].values()) <= 1 and found.metrics["facts"]["evaluations"] == 6
    steps = 128 // 32 * 32
    taught = SHORT.float_epochs * steps if method == "trade" else 0
    assert found.metrics["ledger"]["samples"] == 6 * steps + taught + SHORT.finetune_epochs * steps
    for name in ("checkpoint.pt", "metrics.json"):
        (tmp_path / name).unlink()
    again = _found(tmp_path, method, settings=settings)
    assert again.genotype == found.genotype
    assert all(again.metrics["facts"][key] == found.metrics["facts"][key] for key in ("trials", "evaluations", "front"))
    assert all(torch.equal(a, b) for a, b in zip(found.model.state_dict().values(), again.model.state_dict().values()))


def test_the_latency_of_mnas_is_what_the_simulator_counts(tmp_path: Path) -> None:
    """Of every candidate's firmware; that of the network which was found has other weights, and so in part other kernels."""
    schedule = replace(SHORT, prune_epochs=1)
    found = _found(tmp_path, "mnas", schedule=schedule, settings={**SMALL, "generation": 2})
    facts = found.metrics["facts"]
    assert all(c["simulated_cycles"] > 0 for c in facts["candidates"])
    image = mcunas.build(mcunas.quantize(found), Board.load("mps2-an386"), tmp_path / "firmware")
    report = mcunas.validate(image, n_random=1)
    counted = next(c for c in facts["candidates"] if c["key"] == found.genotype.key)
    assert report.measured.instructions == pytest.approx(counted["simulated_instructions"], rel=0.15)
    assert facts["latency"]["simulated_us"] <= BUDGET.latency_us


class Dead(Executor):
    """Nothing that it is given ends."""

    def submit(self, *unused: object) -> Future:  # type: ignore[override]
        future: Future = Future()
        future.set_exception(BrokenExecutor("gone"))
        return future


def test_processes_that_all_die_are_no_reason_to_raise_the_budget(tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match="attempts to train a candidate ended with their process"):
        _found(tmp_path, "tpe", executor=Dead())


def test_what_cannot_be_searched_is_refused_in_words(tmp_path: Path) -> None:
    for method, changes, said in (
            ("mnas", {"settings": {"exponents": "firm"}}, "no exponent 'firm'; use one of hard, soft"),
            ("tpe", {"settings": {"sampler": "grid"}}, "tpe has no sampler 'grid'"),
            ("trade", {"settings": {"region": "box"}}, "trade has no region 'box'"),
            ("mnas", {"settings": {"fidelity": "guess"}}, "unknown fidelity 'guess'"),
            ("diffprune", {"settings": {}, "jobs": 2}, "no use for further machines; leave them out, or use one of"),
            ("mnas", {"jobs": 0}, "cannot work with 0 processes")):
        with pytest.raises(InputError, match=said):
            _found(tmp_path / method, method, **changes)
    with pytest.raises(DoesNotFit, match="no network of the space"):
        _found(tmp_path / "small", "mnas", budget=Budget(ram=300), settings={**SMALL, "factors": {"op": ["ds"]}})
