# SPDX-License-Identifier: Apache-2.0
"""PAD-NAS: a space that shrinks by stages, operations pruned slot by slot (Xia et al., arXiv 2005.07564).

From the paper: each stage trains a one-shot supernet on single paths, runs NSGA-II on its accuracy against the cost under
the hard budget, and takes away in every slot the operations that the good networks do not use; weights are inherited.
Ours (nas-methods.md, paper 6): fair sampling by permutations, one update per path; the confidence bound in
space/evidence.py; after the first stage, options that another beats in every price and in error go as well. Networks are
scored with the batch's own statistics, since those of a supernet belong to no network. Evolution begins with networks
that fit, as far as random draws find them.
"""
from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import torch

from mcunas.errors import InputError
from mcunas.search.nas import finals
from mcunas.search.nas.derive import LEAST_USE, derive, share
from mcunas.search.nas.run import NasRun
from mcunas.search.nas.shared import Shared
from mcunas.search.settings import demand_parents
from mcunas.space import Genotype, sampling
from mcunas.space.evidence import Z, to_drop
from mcunas.space.evolution import Scored, evolve, rank
from mcunas.space.price import SLACK, usage
from mcunas.tasks.training import tensors

# stages: of training and pruning; the search epochs are shared out among them. evidence: "population", "random" for as
# many options per slot chosen by lot (a placebo), "none" for the one-shot search that prunes nothing. population,
# generations: of NSGA-II, in each stage. scored_images: of the validation split. quality: random networks that measure a
# stage's space. drop, least: the largest share that goes in a stage, and the fewest options that stay. finals,
# candidate_epochs: see nas/finals.py; the last population has ranked its candidates already. paths: of a batch, see
# Shared.weight_epoch.
SETTINGS = {"stages": 3, "evidence": "population", "population": 24, "generations": 4, "scored_images": 64, "quality": 12,
            "drop": 1 / 3, "least": 2, "finals": 0.4, "candidate_epochs": 2, "paths": 4}
# of NasRun.noise: what is dropped by lot, what measures a space, with which networks evolution begins
LOT_STREAM, QUALITY_STREAM, FIRST_STREAM = 1_000, 2_000, 3_000
QUALITY_IMAGES = 256
SURELY_OVER = 1.1       # times the budget by the table, which is good to a few percent: then nobody asks the compiler
DRAWS = 2_000


def choose(run: NasRun) -> Genotype:
    """The best of the most accurate networks that the last stage saw; where it saw none that fits, one that does, of no
    evidence. Resumes at an epoch. Raises DoesNotFit where none is found.
    """
    if run.settings["evidence"] not in ("population", "random", "none"):
        raise InputError(f"padnas has no evidence {run.settings['evidence']!r}", fix="use population, random or none")
    demand_parents("padnas", run.settings)
    return _Search(run).run_stages()


class _Search:
    """nets: the last stage's networks that are known to be good, with which evolution begins."""

    def __init__(self, run: NasRun) -> None:
        self.run = run
        self.shared = Shared(run, arch_rate=0.0)
        self.net = self.shared.net
        self.stage: int = run.notes.get("stage", 0)
        self.nets: list[dict[str, str]] = run.notes.get("nets", [])
        self.slot_of = {id(block): slot for slot, block in self.net.slots.items()}
        self.images, self.labels = tensors(run.task, run.task.validation[:run.settings["scored_images"]])
        self.all = tensors(run.task, run.task.validation[:QUALITY_IMAGES])
        self.scored = 0

    def run_stages(self) -> Genotype:
        run, stages = self.run, self.run.settings["stages"]
        seen: list[Scored] = []
        while self.stage < stages:
            until = run.supernet_epochs * (self.stage + 1) // stages
            while run.epoch < until:
                self._train_epoch()
            started, ran, self.scored = time.process_time(), self.net.option_forwards, 0
            seen, quality = self._evolve(), self._quality()
            said = {"options": sum(map(len, self.net.alive().values())), "seen": len(seen), **quality}
            run.facts["stages"] = [*run.facts.get("stages", [])[:self.stage], said]
            if self.stage + 1 < stages and run.settings["evidence"] != "none":
                said["dropped"] = self._dropped(seen)
                self._prune(said["dropped"])
            run.ledger.charge("search", time.process_time() - started, self.scored * len(self.images),
                              self.net.option_forwards - ran)
            self.stage += 1
            run.notes = self._notes()
            if self.stage < stages:
                run.save()
        return finals.best(run, lambda count: self._finalists(seen, count))

    def _finalists(self, seen: Sequence[Scored], count: int) -> list[Genotype]:
        """Of the last stage's networks those of the least error, such as use the budget first."""
        run, alive = self.run, self.net.alive()
        fitting = sorted((n for n in seen if n.violation <= 0), key=lambda n: n.values)
        run.facts |= {"front": [list(n.values) for n in rank(seen)[0] if n.violation <= 0], "options_left": alive}
        found = list(dict.fromkeys(run.space.genotype(n.choices) for n in fitting))
        if not found:
            return [derive(run, {slot: dict.fromkeys(options, 1 / len(options)) for slot, options in alive.items()})]
        return sorted(found, key=lambda g: share(run, g) < LEAST_USE)[:count]

    def _notes(self) -> dict[str, Any]:
        return {"shared": self.shared.notes(), "stage": self.stage, "nets": self.nets}

    def _train_epoch(self) -> None:
        run, ran = self.run, self.net.option_forwards
        started, paths = time.process_time(), fair_paths(self.net.alive(), run.noise(run.epoch))
        path: dict[str, str] = {}

        def fixed(block: Any) -> sampling.Gate:
            slot = self.slot_of[id(block)]
            if slot == self.run.space.slots[0].name:        # gates are drawn in the slots' order
                path.update(next(paths))
            return sampling.fixed(block, path[slot])

        loss = self.shared.weight_epoch(run.weight_batches(run.epoch), run.weight_steps, fixed, run.settings["paths"])
        run.notes = self._notes()
        run.end_epoch("search", started, {"loss": loss, "options": sum(map(len, self.net.alive().values()))},
                      run.weight_steps * run.schedule.batch, self.net.option_forwards - ran)

    def _score(self, choices: Mapping[str, str]) -> Scored:
        """Error and cycles of one path; of networks over the budget only by how much they are."""
        run, genotype = self.run, self.run.space.genotype(choices)
        moved = genotype.choices            # equal networks share one path, where its options are still alive
        path = moved if all(o in self.net.slots[s].options for s, o in moved.items()) else dict(choices)
        used, cycles, error = share(run, genotype), run.prices.added(genotype)[0], 1.0
        if used <= SURELY_OVER:
            cost = run.prices.exact(genotype)
            used, cycles = max(usage(cost, run.budget).values()), float(cost.cycles)
        if used <= 1:
            self.scored += 1
            error = 1 - finals.shared_score(run, self.net, path, self.images, self.labels)
        return Scored(path, (error, cycles), max(used - 1, 0.0))

    def _evolve(self) -> list[Scored]:
        """Networks seen by NSGA-II on (error, cycles)."""
        run, alive = self.run, self.net.alive()
        rows = {slot: run.prices.row(slot) for slot in alive}
        lightest = {slot: min(options, key=lambda o, row=rows[slot]: row[o]["cycles"]) for slot, options in alive.items()}
        count = run.settings["population"]
        left = [net for net in self.nets if all(net[slot] in options for slot, options in alive.items())]
        known = [*left, lightest, *islice(self._fitting(FIRST_STREAM), count - len(left) - 1)]
        seen = evolve(alive, self._score, count, run.settings["generations"], run.seed * 100 + self.stage, known)
        self.nets = [n.choices for n in rank(seen)[0] if n.violation <= 0][:count // 2]
        return seen

    def _fitting(self, stream: int) -> Iterator[dict[str, str]]:
        """Random networks of the space as it stands that fit and use the budget, all different; at last none."""
        run, alive, random, known = self.run, self.net.alive(), self.run.noise(stream + self.stage), set()
        for _ in range(DRAWS):
            choices = {slot: options[int(torch.randint(len(options), (), generator=random))]
                       for slot, options in alive.items()}
            genotype = run.space.genotype(choices)
            is_likely = genotype not in known and LEAST_USE <= share(run, genotype) <= SLACK
            if is_likely and run.prices.fits(genotype, run.budget):
                known.add(genotype)
                yield choices

    def _quality(self) -> dict[str, Any]:
        """Of the space as it stands: mean accuracy of random networks that fit and use the budget, and which they were. It
        chooses nothing."""
        run = self.run
        found = list(islice(self._fitting(QUALITY_STREAM), run.settings["quality"]))
        cycles = [run.prices.exact(run.space.genotype(choices)).cycles for choices in found]
        accuracies = [finals.shared_score(run, self.net, choices, *self.all) for choices in found]
        run.ledger.charge("search", 0.0, len(found) * len(self.all[1]))
        count = max(len(found), 1)
        return {"quality": sum(accuracies) / count, "quality_nets": len(found), "quality_cycles": sum(cycles) / count,
                "drawn": [{"choices": c, "accuracy": a} for c, a in zip(found, accuracies)]}

    def _dropped(self, seen: Sequence[Scored]) -> dict[str, list[str]]:
        """slot -> options to take away, by the better half of what fits; by lot, as many, for the placebo.

        Not by the front alone: its cheap end is no evidence of accuracy, and so few networks prove nothing.
        """
        run, alive = self.run, self.net.alive()
        good = sorted((n for n in seen if n.violation <= 0), key=lambda n: n.values)
        good = good[:max(len(good) // 2, 2 * run.settings["population"])]
        if not good:
            return {}
        found = to_drop(alive, [n.choices for n in good], run.settings["drop"], run.settings["least"])
        if self.stage == 0:
            for slot, gone in self._beaten(seen).items():
                room = len(alive[slot]) - run.settings["least"] - len(found[slot])
                found[slot] += [o for o in gone if o not in found[slot]][:max(room, 0)]
        if run.settings["evidence"] == "random":
            random = run.noise(LOT_STREAM + self.stage)
            for slot, gone in found.items():
                order = torch.randperm(len(alive[slot]), generator=random)[:len(gone)].tolist()
                found[slot] = [alive[slot][k] for k in order]
        best = good[0].choices              # stays whole, so that something fits in what is left
        return {slot: [o for o in gone if o != best[slot]] for slot, gone in found.items()}

    def _beaten(self, seen: Sequence[Scored]) -> dict[str, list[str]]:
        """Options that another of the slot beats in cycles, flash and RAM, and in mean error beyond the noise of both."""
        fitting, found = [n for n in seen if n.violation <= 0], {}
        for slot, options in self.net.alive().items():
            rows = {}
            for option in options:
                errors = torch.tensor([n.values[0] for n in fitting if n.choices[slot] == option])
                if len(errors) > 2:
                    noise = Z * float(errors.std()) / len(errors) ** 0.5
                    rows[option] = {**self.run.prices.row(slot)[option], "error": float(errors.mean()), "noise": noise}
            found[slot] = [o for o, own in rows.items() if any(_beats(other, own) for other in rows.values())]
        return found

    def _prune(self, dropped: Mapping[str, Sequence[str]]) -> None:
        for slot, options in dropped.items():
            for option in options:
                self.shared.kill(slot, option)
        for module in self.net.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.reset_running_stats()


def _beats(a: Mapping[str, float], b: Mapping[str, float]) -> bool:
    return (all(a[what] <= b[what] for what in ("cycles", "flash_bytes", "ram_bytes"))
            and a["error"] + a["noise"] < b["error"] - b["noise"])


def fair_paths(alive: Mapping[str, Sequence[str]], random: torch.Generator) -> Iterator[dict[str, str]]:
    """Paths without end in which every slot takes each of its options once before any of them again."""
    waiting: dict[str, list[str]] = {slot: [] for slot in alive}
    while True:
        for slot, options in alive.items():
            if not waiting[slot]:
                waiting[slot] = [options[k] for k in torch.randperm(len(options), generator=random).tolist()]
        yield {slot: left.pop() for slot, left in waiting.items()}
