# SPDX-License-Identifier: Apache-2.0
"""PruNet: FBNet's alternating search in which the supernet shrinks, in three tiers (Kierat et al., arXiv 2209.11785).

(i) inner widths of inverted bottlenecks by bi-paths, (ii) options that become unlikely are taken away, (iii) so are whole
slots, from the end of their stage. With (ii) and (iii) one option and one depth are left at the end, and no argmax comes
as a surprise. The mechanics, and which of them are ours, stand in space/bipath.py, tiers.py and tiered.py.
"""
from __future__ import annotations

import math
import time
from typing import Any

import torch

from mcunas.search.fbnet import temperature
from mcunas.search.nas import finals
from mcunas.search.nas.derive import LEAST_USE, lightest_of, likely
from mcunas.search.nas.figures import progress, scatter, validation
from mcunas.search.nas.run import NasRun
from mcunas.search.nas.shared import Shared
from mcunas.space import Genotype, sampling
from mcunas.space.bipath import follow
from mcunas.space.blocks import find
from mcunas.space.genotype import SKIP
from mcunas.space.inner_price import InnerPrices
from mcunas.space.price import Expected, usage
from mcunas.space.tiered import TieredSupernet
from mcunas.space.tiers import Averages, depths, ends, rare, threshold

# widths, options, layers: tiers (i), (ii), (iii). grain: of inner widths. rate: Adam's on alpha and theta. tau: first and
# last temperature; hard_share: of the search epochs, at the end, in which weights see single paths.
# finals, candidate_epochs: see nas/finals.py; what is gone from the supernet cannot be ranked by it.
SETTINGS = {"widths": True, "options": True, "layers": True, "grain": 8, "rate": 0.05, "tau": [1.5, 0.3],
            "hard_share": 0.2, "finals": 0.4, "candidate_epochs": 2}


def choose(run: NasRun) -> Genotype:
    """Train and shrink the supernet; what is left of it, or the most probable network that fits. Resumes."""
    if run.settings["widths"]:
        run.feasible = with_narrow(run, run.settings["grain"])
    search = _Search(run)
    while run.epoch < run.supernet_epochs:
        search.epoch()
    return search.found()


def with_narrow(run: NasRun, width: int) -> dict[str, tuple[str, ...]]:
    """The feasible options, and those that fit only when they are narrowed: to `width` inside, in the lightest network."""
    light, found = lightest_of(run).choices, {}
    for slot in run.space.slots:
        narrow = {o for o in slot.options if o not in run.feasible[slot.name] and find(o).inner and run.prices.fits(
            run.space.genotype({**light, slot.name: o}, {slot.name: width}), run.budget)}
        found[slot.name] = tuple(o for o in slot.options if o in narrow or o in run.feasible[slot.name])
    return found


class _Search:
    """freed: kernels that no option needs any more, with the flash that their code takes. last: slot -> option that is gone
    -> its probability then."""

    def __init__(self, run: NasRun) -> None:
        self.run, settings, notes = run, run.settings, run.notes
        torch.manual_seed(run.seed)
        self.net = TieredSupernet(run.space, run.feasible, settings["grain"] if settings["widths"] else 0,
                                  settings["layers"])
        if notes:
            self.net.keep(notes["shared"]["alive"])
            self.net.load_inner(notes["inner"])
        self.first = {name: len(block.names) for name, block in self.net.choices().items()}
        self.first |= {stage: 1 + sum(SKIP in self.net.slots[s].names for s in slots)
                       for stage, slots in self.net.stages.items()}
        self.shared = Shared(run, settings["rate"], net=self.net)
        self.prices = InnerPrices(run.prices)
        self.averages = Averages(notes.get("averages"))
        self.freed: list[dict[str, Any]] = list(notes.get("freed", []))
        self.last: dict[str, dict[str, float]] = notes.get("last", {})
        if not notes:
            scatter(run, self.net)

    def epoch(self) -> None:
        run, net, shared = self.run, self.net, self.shared
        started, ran, random = time.process_time(), net.option_forwards, run.noise(run.epoch)
        at = progress(run, run.epoch)
        tau = temperature(run, at)
        is_hard = run.epoch >= run.supernet_epochs * (1 - run.settings["hard_share"])
        net.random, net.tau = random, tau
        of_weights, of_alpha = sampling.annealed(tau, random, is_hard)
        run.prices.anchor(run.space.genotype(net.best()))
        loss = shared.weight_epoch(run.weight_batches(run.epoch), run.weight_steps, of_weights)
        samples = run.weight_steps * run.schedule.batch
        if run.epoch >= run.schedule.warmup_epochs:
            net.train()
            for step, (images, labels) in enumerate(run.arch_batches(run.epoch)):
                now = progress(run, run.epoch + step / run.arch_steps)
                shared.arch_step(images, labels, of_alpha,
                                 lambda gates, now=now: shared.hinge(self.expected(), now))
                self._move(random)
                self._prune(now)
            samples += run.arch_steps * run.schedule.batch
            if run.epoch + 1 == run.supernet_epochs:
                self._prune(1.0)
        best = net.best()
        figures = {"loss": loss, "tau": tau, "entropy": shared.entropy(), "options": sum(map(len, net.alive().values())),
                   "validation": validation(run, net, best)}
        run.notes = {"shared": shared.notes(), "inner": net.inner_state(), "averages": self.averages.of,
                     "freed": self.freed, "last": self.last}
        run.end_epoch("search", started, figures, samples, net.option_forwards - ran)

    def expected(self) -> Expected:
        """Under the probabilities, as in fbnet.py: a price without the draw's noise."""
        probs = self.net.probs()
        return self.prices.added(self.net, probs, self.run.prices.expected(probs, self.net.names()))

    def _move(self, random: torch.Generator) -> None:
        """Let the bi-paths that are decided move; the optimizers follow."""
        moving = [path for path in self.net.inner().values() if path.stepped()]
        for path in moving:
            path.move(random)
            self.shared.arch.state.pop(path.theta, None)
        if moving:
            follow(self.shared.weights, self.net.weights())

    def _prune(self, at: float) -> None:
        """Tiers (ii) and (iii) after a step, at progress 0..1."""
        before, settings = self._kernels(), self.run.settings
        for slot, block in self.net.choices().items() if settings["options"] else ():
            p = block.probs().detach()
            names = [o for o in block.options if o != SKIP or not settings["layers"]]
            if len(names) > 1:
                total = sum(float(p[block.index(o)]) for o in names)
                averages = self.averages.observe(slot, {o: float(p[block.index(o)]) / total for o in names})
                for option in rare(averages, threshold(at, self.first[slot])):
                    self._kill(slot, option)
        for stage in self.net.stages if settings["layers"] else ():
            slots = self.net.removable(stage)
            p = depths([self.net.skip_share(s) for s in slots])
            averages = self.averages.observe(stage, dict(zip(["", *slots], p)))
            least, most = ends(list(averages.values()), threshold(at, self.first[stage]))
            for slot in slots[:least]:
                self._kill(slot, SKIP)
            for slot in slots[most:]:
                for option in [o for o in self.net.slots[slot].options if o != SKIP]:
                    self._kill(slot, option)
        code = self.run.prices.table.prices
        self.freed += [{"epoch": self.run.epoch, "kernel": kernel, "flash_bytes": code.code(kernel)}
                       for kernel in sorted(before - self._kernels())]

    def _kill(self, slot: str, option: str) -> None:
        self.last.setdefault(slot, {})[option] = self._share(slot, option)
        self.shared.kill(slot, option)

    def _kernels(self) -> set[str]:
        """That some option which is alive needs, or stem and head."""
        table, slots = self.run.prices.table, self.run.space.slots
        needed = {k for options in (table.positions[0], table.positions[-1]) for found in options.kernels for k in found}
        for slot, options in zip(slots, table.positions[1:-1], strict=True):
            alive = self.net.slots[slot.name].options
            needed |= {k for name, found in zip(options.names, options.kernels) if name in alive for k in found}
        return needed

    def found(self) -> Genotype:
        run, best = self.run, self.net.best()
        widths = self.net.widths_of(best)
        brackets = {f"{slot}/{option}": list(path.widths) if path.bracket.chosen is None else path.bracket.chosen
                    for (slot, option), path in self.net.inner().items()}
        run.facts |= {"likeliest": best, "inner_widths": widths, "brackets": brackets, "freed": self.freed,
                      "entropy": self.shared.entropy(), "options_left": self.net.alive(),
                      "option_forwards": run.ledger.option_forwards}
        return finals.best(run, lambda count: self._finalists(best, widths, count))

    def _finalists(self, best: dict[str, str], widths: dict[str, int], count: int) -> list[Genotype]:
        """What is left, where it fits and uses the budget; then the most probable networks, in which what is gone counts by
        how probable it was."""
        run = self.run
        left = _narrowed(run, best, widths)
        is_filled = left is not None and max(usage(run.prices.exact(left), run.budget).values()) >= LEAST_USE
        probs = {slot: {o: self._share(slot, o) or self.last.get(slot, {}).get(o, 0.0) for o in options}
                 for slot, options in run.feasible.items()}
        others = [run.space.genotype(choices) for choices in likely(run, probs, count)]
        return list(dict.fromkeys([left, *others] if is_filled else others))[:count]

    def _share(self, slot: str, option: str) -> float:
        block = self.net.slots[slot]
        return float(block.probs().detach()[block.index(option)]) if option in block.names else 0.0


def _narrowed(run: NasRun, choices: dict[str, str], widths: dict[str, int]) -> Genotype | None:
    """The network with these inner widths, all cut alike, a grain at a time, until its exact price fits; None if it never
    does. What was needed is in the facts."""
    share, least = 1.0, run.settings["grain"]
    while True:
        cut = {slot: max(math.floor(w * share / least) * least, least) for slot, w in widths.items()}
        genotype = run.space.genotype(choices, cut)
        if max(usage(run.prices.exact(genotype), run.budget).values()) <= 1:
            run.facts |= {"narrowed_to": share}
            return genotype
        if all(w <= least for w in cut.values()):
            return None
        share -= 1 / 16
