# SPDX-License-Identifier: Apache-2.0
"""Acceleration of a trained network: fits exactly, resumes, is rebuilt from its folder, and its teacher stays as it was."""
from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import mcunas
from mcunas import tasks
from mcunas.errors import DoesNotFit
from mcunas.prune.sized import as_deployed, narrowed
from mcunas.search.lana import score
from mcunas.search.lana.baselines import by_greed, by_lot
from mcunas.search.lana.candidates import Candidate, make, pool, widths_of
from mcunas.search.lana.choose import Chooser
from mcunas.search.lana.distil import Job, distil
from mcunas.search.lana.prices import ChainPrices
from mcunas.search.result import Result
from mcunas.space import Genotype
from mcunas.space.cells import TEACHER, Chain, cells_of
from mcunas.space.price import usage
from mcunas.tasks import Schedule
from mcunas.tasks.own import from_loaders
from tests.search.test_own import loaders, net

BOARD, BUDGET = "mps2-an386", mcunas.Budget(ram=1200, flash="9 KiB", latency="5 ms")
SHORT = Schedule(finetune_epochs=1, qat_epochs=1, batch=32)
SETTINGS = {"blocks": ["conv3x3", "ds3", "mb3_e2", "linear3x3", "skip"], "solutions": 3, "score_images": 96,
            "judged_images": 96, "epochs": 1}


def trained() -> nn.Module:
    mine, data = net(), loaders()
    optimizer = torch.optim.Adam(mine.parameters(), 0.01)
    for images, labels in data[0] * 4:
        optimizer.zero_grad()
        F.cross_entropy(mine(images), labels).backward()
        optimizer.step()
    return mine.eval()


def test_a_trained_network_is_brought_to_the_budget_and_its_folder_is_whole(tmp_path: Path):
    mine, phases = trained(), []

    def stop_once(phase: str, *unused: object) -> None:
        phases.append(phase)
        if phases == ["candidates"] * 2:
            raise KeyboardInterrupt

    before = {k: v.clone() for k, v in mine.state_dict().items()}
    with ThreadPoolExecutor(2) as executor:
        asked = {"out": tmp_path, "schedule": SHORT, "settings": SETTINGS, "progress": stop_once}
        with pytest.raises(KeyboardInterrupt):
            mcunas.accelerate(mine, loaders(), BOARD, BUDGET, executor=executor, **asked)
        result = mcunas.accelerate(mine, loaders(), BOARD, BUDGET, executor=executor, **asked)
    assert phases.count("candidates") == 3          # one per cell; those that were done were kept
    assert max(result.metrics["budget_use"].values()) <= 1 < result.metrics["dense_over_budget"]["flash"]
    passes, ledger = result.metrics["facts"]["passes"], result.metrics["ledger"]
    assert passes["teacher"] == 2 * 6 * 32 and passes["candidates"] > 4 * passes["teacher"]
    assert ledger["option_forwards"] == passes["candidates"] + passes["scores"] + passes["solutions"]
    again, x = Result.load(tmp_path), torch.randn(4, 2, 8, 8)
    assert again.genotype == result.genotype and torch.equal(again.model(x), result.model(x))
    assert mcunas.quantize(result).metrics["test_images"] == 64
    assert all(torch.equal(v, before[k]) for k, v in mine.state_dict().items())


def test_in_a_space_the_slots_are_the_cells_and_a_genotype_of_the_space_is_found(tmp_path: Path):
    space = {"input": {"height": [8, 8], "width": [8, 8]}, "stem": {"kernel": [3, 3], "channels": 4, "stride": [1, 1]},
             "options": ["conv3x3", "ds3", "skip"], "stages": [{"channels": 8, "stride": 2, "slots": 3}]}
    task = tasks.load("digits")
    task = replace(task, train=task.train[:256], validation=task.validation[:64], test=task.test[:64])
    schedule = replace(SHORT, teacher_epochs=1)
    result = mcunas.accelerate("digits", task, BOARD, mcunas.Budget(latency="10 ms"), tmp_path, schedule=schedule,
                               options=space, settings={**SETTINGS, "rounds": 1})
    assert result.genotype.is_of_space and set(result.genotype.choices) == {"s0_0", "s0_1", "s0_2"}
    assert result.genotype.choices != dict.fromkeys(result.genotype.choices, "conv3x3")
    x = torch.randn(2, 1, 8, 8)
    assert torch.equal(Result.load(tmp_path).model(x), result.model(x))


def test_a_chain_is_priced_by_its_table_up_to_what_the_compiler_does_across_cells_and_never_chosen_over_budget():
    torch.manual_seed(0)
    cells = cells_of(net().eval(), (8, 8, 2))
    prices = ChainPrices(cells, [pool(c, ["conv3x3", "ds3", "mb3_e2"]) for c in cells], mcunas.Board.load(BOARD))
    dense = prices.exact((0,) * len(cells))
    random = np.random.default_rng(0)
    for share in (0.75, 0.5):
        budget = mcunas.Budget(int(dense.ram_bytes * 0.8), dense.flash_bytes + 2048, dense.latency_us * share)
        budget = budget.for_board(prices.board)
        found = Chooser(prices, budget).diverse([random.random(len(p)) for p in prices.pools], 4, 0.7)
        assert found.choices and all(max(usage(prices.exact(c), budget).values()) <= 1 for c in found.choices)
        assert len(set(found.choices)) == len(found.choices)
        for chosen in found.choices:
            assert prices.exact(chosen).ram_bytes <= prices.table.exact(chosen)[0].max()
    with pytest.raises(DoesNotFit, match="lightest candidates need .* the latency"):
        impossible = mcunas.Budget(latency=1.0).for_board(prices.board)
        Chooser(prices, impossible).diverse([np.zeros(len(p)) for p in prices.pools], 1, 1.0)


def test_scores_are_differences_of_loss_and_leave_batch_norms_alone():
    torch.manual_seed(0)
    cells = [c.module for c in cells_of(net(), (8, 8, 2))]
    data = loaders()[0][:2]
    before = {k: v.clone() for k, v in cells[1].state_dict().items()}
    own, silent = score.added_losses(cells, 1, [cells[1], nn.Sequential(nn.Conv2d(16, 24, 1))], data)
    assert own == 0 and silent != 0
    assert all(torch.equal(v, before[k]) for k, v in cells[1].state_dict().items())


def test_a_narrowed_teacher_keeps_its_strongest_channels():
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Conv2d(2, 6, 1), nn.Conv2d(6, 8, 3, padding=1, groups=1), nn.ReLU())
    whole = nn.Sequential(nn.Sequential(inner[0], nn.BatchNorm2d(6), nn.ReLU(), inner[1]), nn.ReLU(), nn.Flatten(),
                          nn.Linear(512, 2))
    with torch.no_grad():
        inner[0].weight[[1, 4]] *= 100
    cells = cells_of(whole.eval(), (8, 8, 2))
    narrow = Candidate(TEACHER, share=0.5)
    joined = replace(cells[0], module=nn.Sequential(*[c.module for c in cells[:-1]]))
    found = make(joined, narrow)
    convs = [m for m in found.modules() if isinstance(m, nn.Conv2d)]
    assert list(widths_of(joined, narrow).values()) == [4] and convs[0].out_channels == convs[1].in_channels == 4
    kept = {float(w) for w in convs[0].weight.detach().abs().sum((1, 2, 3))}
    assert {float(w) for w in inner[0].weight.detach().abs().sum((1, 2, 3))[[1, 4]]} <= kept


def test_choices_by_lot_and_greed_fit_too_and_use_the_budget():
    torch.manual_seed(0)
    cells = cells_of(net().eval(), (8, 8, 2))
    prices = ChainPrices(cells, [pool(c, ["conv3x3", "ds3", "mb3_e2"]) for c in cells], mcunas.Board.load(BOARD))
    dense = prices.exact((0,) * len(cells))
    budget = mcunas.Budget(latency=dense.latency_us * 0.7).for_board(prices.board)
    random = np.random.default_rng(0)
    lot = by_lot(prices, budget, 3, random)
    assert len(set(lot)) == len(lot) and all(0.8 < max(usage(prices.exact(c), budget).values()) <= 1 for c in lot)
    scores = [np.array([0.0, *random.random(len(p) - 1)]) for p in prices.pools]
    assert max(usage(prices.exact(by_greed(prices, budget, scores)), budget).values()) <= 1


def test_a_choice_of_narrowed_cells_is_rebuilt_from_its_genotype():
    start = Genotype("residual", {"widths": [6, 8, 12]}, (8, 8, 1), 10)
    cells = cells_of(start.build_dense(), start.input_shape)
    chosen = [next((c for c in pool(cell, ()) if c.share == 0.5), Candidate(TEACHER)) for cell in cells]
    widths = {name: w for cell, c in zip(cells, chosen) for name, w in widths_of(cell, c).items()}
    genotype = Genotype(start.start, start.options, (8, 8, 1), 10, widths, {c.name: TEACHER for c in cells})
    chain = Chain({cell.name: make(cell, c) for cell, c in zip(cells, chosen)})
    net = as_deployed(genotype)
    narrowed(net, genotype)
    net.load_state_dict(chain.state_dict())
    assert widths and sum(p.numel() for p in chain.parameters()) < sum(p.numel() for p in start.build_dense().parameters())


def test_candidates_whose_training_diverges_are_never_chosen(tmp_path: Path):
    result = mcunas.accelerate(net(), loaders(), mcunas.Board.load("mps2-an386"), mcunas.Budget(), out=tmp_path,
                               schedule=Schedule(finetune_epochs=1, batch=32),
                               settings={"rate": 1e30, "blocks": ["ds3"], "epochs": 1})
    assert "NaN" not in (tmp_path / "metrics.json").read_text()
    assert not any(choice.startswith("ds3") for choice in result.metrics["facts"]["chosen"])


def test_a_job_says_the_same_in_another_process():
    torch.manual_seed(0)
    cells = tuple(cells_of(net().eval(), (8, 8, 2)))
    task = from_loaders(loaders(), "test")
    job = Job(cells, 1, pool(cells[1], ["conv1x1", "linear3x3"])[1:], task, SHORT, 0, 1, 0.01, 64)
    one, other = distil(job), distil(pickle.loads(pickle.dumps(job)))
    assert one["scores"] == other["scores"] and one["errors"] == other["errors"] and set(one["errors"]) == set(one["scores"])
    assert one["samples"] == 6 * 32 and one["candidate_samples"] == 2 * one["samples"] and one["score_samples"] == 2 * 64
