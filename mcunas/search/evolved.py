# SPDX-License-Identifier: Apache-2.0
"""Searches of candidates that inherit: a parent is trained once, every candidate begins from weights mapped from it.

What nsga2 and adapt share: the parent's training, the evaluator (mapped weights and a few steps), the study, the ledger. The
search spends as many samples as the schedule's search epochs have: `<stage>_share` of them on each stage of the parent's
training, the rest on candidates of `steps` batches each. No candidate is trained from scratch, unless a placebo asks for
that; none that does not fit is a trial, as long as one that fits is found by drawing again.
"""
from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import optuna
import torch
from torch import nn

from mcunas.atomic import write_file
from mcunas.errors import InputError
from mcunas.search.asktell.engine import Seen, front
from mcunas.search.asktell.evaluate import ByTraining
from mcunas.search.asktell.fidelity import Fidelity
from mcunas.search.asktell.fitting import FittingSampler
from mcunas.search.asktell.problem import Problem
from mcunas.search.asktell.storage import forget
from mcunas.search.asktell.study import asked_and_told
from mcunas.search.nas.run import NasRun, faster, sgd
from mcunas.search.settings import demand_parents
from mcunas.space import Genotype
from mcunas.space.factored import Factored, Point
from mcunas.space.mapping import Inherited, parent_of
from mcunas.space.price import usage
from mcunas.tasks import Task
from mcunas.tasks.training import batches, cosine, score, steps_per_epoch, train_epoch

# steps: batches on which a candidate is trained. rate: share of the schedule's learning rate that they begin with.
# scored_images: of the validation split. mapping: "mapped", or the placebos "shuffled" (scales and statistics only) and
# "scratch". population: trials that are asked for at once. parent_from: folder of another search with the same parent. A
# method's `factors` are what a stage's genes may be (space/factored.py). finalists: how many of the candidates are looked at
# again after `longer` times the steps; 1 = none.
SETTINGS = {"steps": 50, "rate": 0.5, "scored_images": 300, "parent_share": 0.4, "mapping": "mapped", "population": 10,
            "parent_from": "", "finalists": 1, "longer": 4}
MAPPINGS = ("mapped", "shuffled", "scratch")
SAMPLERS = ("nsga2", "random", "tpe")
SCALES = tuple(round(1.6 - 0.02 * k, 2) for k in range(70))     # of all widths, from the widest on
STAGES = {"parent": 700_000, "warmed": 750_000}     # of the parent's training -> its random stream, far from other ones

Violation = Callable[[Mapping[str, float]], float]
Values = Callable[[Mapping[str, float]], tuple[float, ...]]


@dataclass(frozen=True)
class Wanted:
    """directions, values: of the study. violation: of prices, above 0 for what is not evaluated."""

    directions: tuple[str, ...]
    values: Values
    violation: Violation


def demand_known(run: NasRun, by_hand: str) -> None:
    """Raise InputError, before anything is trained, for a mapping or a sampler that there is not. by_hand: the method's own
    word for a network that is not searched."""
    for name, known in (("mapping", MAPPINGS), ("sampler", (*SAMPLERS, by_hand))):
        if run.settings[name] not in known:
            raise InputError(f"there is no {name} {run.settings[name]!r}", fix=f"use one of {', '.join(known)}")
    if run.settings["sampler"] == "nsga2":
        demand_parents("nsga2", run.settings)


def parent(run: NasRun, genotype: Genotype, task: Task, stage: str = "parent", begun: nn.Module | None = None) -> Inherited:
    """What candidates inherit: `genotype`, trained on `task` for the stage's share of the search's samples; once, also over
    resumes. begun: with the weights that it begins from; None: first weights.

    Raises InputError for a parent of another network.
    """
    file = run.out / f"{stage}.pt"          # weights, what they cost, and of which network they are
    if not run.notes.get(f"has_{stage}"):
        given = run.settings["parent_from"]
        found = _given(run, genotype, task, stage) if given else _trained(run, genotype, task, stage, begun)
        buffer = io.BytesIO()
        torch.save(found, buffer)
        write_file(file, buffer.getvalue())
        run.notes = {**{k: v for k, v in run.notes.items() if k.startswith("has_")}, f"has_{stage}": True}
        run.save()
    found = torch.load(file, weights_only=True)
    run.facts[stage] = {"genotype": genotype.fields(), "validation": found["validation"], "samples": found["samples"]}
    return Inherited(genotype, found["weights"], run.settings["mapping"] == "shuffled", run.seed)


def _given(run: NasRun, genotype: Genotype, task: Task, stage: str) -> dict[str, Any]:
    """Another search's, whose cost is booked as if it had been spent here."""
    path = Path(run.settings["parent_from"]) / f"{stage}.pt"
    try:
        found = torch.load(path, weights_only=True)
    except Exception as error:
        raise InputError(f"there is no parent ({type(error).__name__})", where=str(path), fix="let it be trained") from None
    if not isinstance(found, dict) or found.get("key") != _key(run, genotype, task):
        raise InputError("it is the parent of another search", where=str(path), fix="let one be trained")
    run.ledger.charge(stage, found["cpu_seconds"], found["samples"])
    return found


def _key(run: NasRun, genotype: Genotype, task: Task) -> str:
    schedule = {k: v for k, v in asdict(run.schedule).items() if k in ("batch", "rate", "weight_decay", "epoch_samples")}
    return json.dumps([genotype.key, task.digest(), [stage_epochs(run, s) for s in STAGES], run.seed, schedule])


def _trained(run: NasRun, genotype: Genotype, task: Task, stage: str, begun: nn.Module | None) -> dict[str, Any]:
    torch.manual_seed(run.seed)
    net, steps = faster(begun or genotype.build_dense()), steps_per_epoch(task, run.schedule)
    optimizer, total = sgd(list(net.parameters()), run.schedule), stage_epochs(run, stage)
    if "net" in run.notes:
        net.load_state_dict(run.notes["net"])
        optimizer.load_state_dict(run.notes["optimizer"])
    first = run.notes.setdefault("first", run.epoch)
    while run.epoch - first < total:
        started, epoch = time.process_time(), run.epoch - first
        loss = train_epoch(net, optimizer, batches(task, run.schedule, run.seed, STAGES[stage] + epoch),
                           lambda step, epoch=epoch: cosine((epoch + step / steps) / total, run.schedule.rate),
                           objective=task.objective)
        run.notes |= {"net": net.state_dict(), "optimizer": optimizer.state_dict()}
        run.end_epoch(stage, started, {"loss": loss, "validation": score(net, task, task.validation)},
                      steps * run.schedule.batch, total=first + total)
    spent_on = {"samples": total * steps * run.schedule.batch, "cpu_seconds": run.ledger.cpu_seconds[stage]}
    return {"weights": parent_of(genotype, net).weights, "validation": run.history[-1]["validation"],
            "key": _key(run, genotype, task), **spent_on}


def stage_epochs(run: NasRun, stage: str) -> int:
    """At least one of a stage that the method has."""
    share = run.settings.get(f"{stage}_share")
    return 0 if share is None else max(round(run.search_epochs * share), 1)


def evaluations(run: NasRun) -> int:
    """Candidates that the samples suffice for, at least two; a finalist takes `longer` of them."""
    left = run.search_epochs - sum(stage_epochs(run, stage) for stage in STAGES)
    count = left * steps_per_epoch(run.task, run.schedule) // run.settings["steps"]
    return max(count - finalists(run) * run.settings["longer"], 2)


def finalists(run: NasRun) -> int:
    """Candidates that are looked at again."""
    return run.settings["finalists"] if run.settings["finalists"] > 1 else 0


def candidates(run: NasRun, factored: Factored, inherited: Inherited, sampler: str, wanted: Wanted) -> list[Seen]:
    """Evaluated candidates, all of which fit, in the order of their trials; the study lies in the run's folder."""
    problem = Problem(factored.genes, factored.genotype, lambda g: prices_of(run, g), wanted.values, wanted.directions,
                      wanted.violation)
    settings, evaluator = run.settings, evaluator_of(run, inherited)
    if not run.notes.get("searching"):
        forget(run.out)         # of a search that was not to be resumed
        run.notes |= {"searching": True}
        run.save()
    asked = FittingSampler(problem, sampler_of(sampler, settings["population"]))
    return asked_and_told(run, problem, asked.seeded, evaluator, fidelity(run), settings["population"], evaluations(run))


def evaluator_of(run: NasRun, inherited: Inherited) -> ByTraining:
    """An epoch of its training is a candidate's steps."""
    return ByTraining(run.task, replace(run.schedule, epoch_samples=run.settings["steps"] * run.schedule.batch,
                                        rate=run.schedule.rate * run.settings["rate"]), weights=inherited)


def fidelity(run: NasRun, epochs: int = 1, images: int | None = None) -> Fidelity:
    """images: of the validation split; None: as many as for a candidate."""
    return Fidelity("scratch" if run.settings["mapping"] == "scratch" else "remapped", epochs,
                    images or run.settings["scored_images"])


def sampler_of(name: str, population: int) -> Callable[[int], optuna.samplers.BaseSampler]:
    """name: one of SAMPLERS."""
    return {"nsga2": lambda seed: optuna.samplers.NSGAIISampler(population_size=population, seed=seed),
            "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
            "tpe": lambda seed: optuna.samplers.TPESampler(n_startup_trials=population, seed=seed)}[name]


def prices_of(run: NasRun, genotype: Genotype) -> dict[str, float]:
    """Exact ones, and `use`: the largest share of a budget."""
    cost = run.prices.exact(genotype)
    return {"cycles": float(cost.cycles), "ram_bytes": cost.ram_bytes, "flash_bytes": cost.flash_bytes,
            "use": max(usage(cost, run.budget).values())}


def best(run: NasRun, nets: list[Seen], inherited: Inherited) -> Genotype | None:
    """Of the front of metric and cycles the one with the best metric; None where no candidate fits.

    With finalists, successive halving (nas-methods.md, paper 14): after a few steps what is like the parent is ahead, so
    the candidates with the best metric begin anew and train longer, and the whole validation split chooses. Resumes.
    """
    if not nets or not finalists(run):
        return front(nets)[-1].genotype if nets else None
    known = {n.genotype.key: n for n in sorted(nets, key=lambda n: -n.figures["accuracy"])}
    found = list(known.values())[:finalists(run)]
    evaluator, last = evaluator_of(run, inherited), fidelity(run, run.settings["longer"], len(run.task.validation))
    while len(tried := run.notes.get("tried", [])) < len(found):
        started = time.process_time()
        figures = evaluator(found[len(tried)].genotype, last, run.seed)
        run.notes = {**run.notes, "tried": [*tried, figures["accuracy"]]}
        run.end_epoch("finals", started, {"validation": figures["accuracy"]}, int(figures["samples"]),
                      total=len(found))
    run.facts["finalists"] = [{"key": n.genotype.key, "validation": v} for n, v in zip(found, tried)]
    return found[max(range(len(found)), key=tried.__getitem__)].genotype


def in_every_stage(factored: Factored, of: Mapping[str, Any]) -> Point:
    """The same values in all stages; "layers" at most what a stage has."""
    return {f"{stage}.{name}": min(value, len(contexts)) if name == "layers" else value
            for stage, contexts in factored.stages.items() for name, value in of.items()}


def scaled(run: NasRun, factored: Factored, of: Mapping[str, Any]) -> Genotype:
    """The same values in all stages at the widest scale that fits; the narrowest where none does, which the driver then
    refuses."""
    nets = [factored.genotype(in_every_stage(factored, {**of, "width": s})) for s in SCALES]
    return next((n for n in nets if prices_of(run, n)["use"] <= 1), nets[-1])
