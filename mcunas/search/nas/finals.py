# SPDX-License-Identifier: Apache-2.0
"""The last stage of a search in a space: a few networks are trained for a short time each, the best is chosen.

From FBNet (Wu et al., arXiv 1812.03443): several networks of the learned distribution are trained, and the best is taken;
one argmax would hang on the noise of a single search. Ours: they are not drawn but taken in the order of their
probability, as far as they fit and use the budget; the supernet's weights, by forward passes on validation images, say
which of them are worth a training; the validation split chooses. All of it comes out of the search's samples: the
supernet gets NasRun.supernet_epochs only. Random search scores its networks by the same `attempt`.
"""
from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from mcunas.search.nas.derive import LEAST_USE, derive, likely
from mcunas.search.nas.run import NasRun, faster, sgd
from mcunas.space import Genotype
from mcunas.space.bit_conv import opened
from mcunas.space.bits import marks
from mcunas.space.noise import Noise
from mcunas.space.supernet import Supernet
from mcunas.tasks import Schedule, Task, ddp
from mcunas.tasks.training import EVALUATED, channels_last, score, steps_per_epoch, tensors, train_shortly

# finals: share of the search epochs that the last stage may take; where that is too little for two networks, the most
# probable one is the result. candidates: networks that the supernet ranks, for the samples of one epoch.
SETTINGS = {"finals": 0.5, "candidates": 24, "candidate_epochs": 2}
Probabilities = Mapping[str, Mapping[str, float]]       # slot -> option -> probability


def of_supernet(run: NasRun, net: Supernet, probs: Probabilities) -> Genotype:
    """The best of the likely networks that the supernet ranks first; `derive` where there is no last stage. Resumes."""
    if not run.finalists:
        return derive(run, probs, run.settings.get("least_use", LEAST_USE))
    return best(run, lambda count: ranked(run, net, likely(run, probs, run.settings["candidates"]))[:count])


def best(run: NasRun, finalists: Callable[[int], Sequence[Genotype]]) -> Genotype:
    """The best by a short training of those that `finalists` names: one or more, at most so many as it is asked for. Where
    there is no last stage, the first of them. Resumes where `run` stands."""
    if not run.finalists:
        return finalists(1)[0]
    if "finalists" not in run.notes:
        run.notes["finalists"] = [g.to_json() for g in finalists(run.finalists)]
        run.save()
    found = [Genotype.of_fields(json.loads(text)) for text in run.notes["finalists"]]
    while len(tried := run.notes.get("tried", [])) < len(found):
        attempt(run, found[len(tried)], run.supernet_epochs + len(found))
    return best_tried(run)


def attempt(run: NasRun, genotype: Genotype, total: int) -> None:
    """Train a network for `candidate_epochs` and book its metric on the validation split. total: of the search's entries."""
    started, epochs = time.process_time(), run.settings["candidate_epochs"]
    found = trained(run.task, genotype, run.schedule, run.seed, epochs)
    steps = steps_per_epoch(run.task, run.schedule)
    tried = [*run.notes.get("tried", []), {"key": genotype.key, "genotype": genotype.to_json(), "validation": found}]
    run.notes = {**run.notes, "tried": tried}
    samples = epochs * steps * run.schedule.batch + len(run.task.validation)
    run.end_epoch("search", started, {"validation": found}, samples, total=total)


def best_tried(run: NasRun) -> Genotype:
    """Of all attempts so far; the first of equals."""
    tried = run.notes["tried"]
    run.facts |= {"finalists": len(tried), "validations": [t["validation"] for t in tried]}
    return Genotype.of_fields(json.loads(max(tried, key=lambda t: t["validation"])["genotype"]))


def trained(task: Task, genotype: Genotype, schedule: Schedule, seed: int, epochs: int) -> float:
    """The metric on the validation split after a short training from scratch, the rate a cosine over it. A network whose
    weights' bits are chosen trains with their noise and is measured with them rounded."""
    torch.manual_seed(seed)
    net = genotype.build_dense()
    net = faster(opened(net, Noise(seed)) if marks(net) else net)
    train_shortly(net, sgd(list(net.parameters()), schedule), task, schedule, seed, epochs)
    return score(net, task, task.validation)


def ranked(run: NasRun, net: Supernet, found: Sequence[Mapping[str, str]]) -> list[Genotype]:
    """found: slot -> option of networks. The most accurate with the shared weights first; equals stay in their order.
    Booked, and in the facts."""
    started, ran = time.process_time(), net.option_forwards
    count = (run.schedule.epoch_samples or len(run.task.train)) // run.settings["candidates"]
    images, labels = tensors(run.task, run.task.validation[:count])
    scores = [shared_score(run, net, choices, images, labels) for choices in found]
    run.ledger.charge("search", time.process_time() - started, len(scores) * len(labels), net.option_forwards - ran)
    run.facts |= {"ranked": scores}
    return [run.space.genotype(found[k]) for k in sorted(range(len(scores)), key=lambda k: -scores[k])]


def shared_score(run: NasRun, net: Supernet, path: Mapping[str, str], images: torch.Tensor, labels: torch.Tensor) -> float:
    """The task's metric of one path on images (N, C, H, W), by batch statistics, since a supernet's running ones belong to
    no network."""
    net.train()
    with torch.no_grad():
        gates, objective = net.path(path), run.task.objective
        answers = [part for x in images.split(EVALUATED)
                   for part in ddp.gather([objective.decode(channels_last(net(ddp.part(x), gates)), None)])]
    return objective.measure(np.concatenate(answers), labels.numpy())[objective.metric]
