# SPDX-License-Identifier: Apache-2.0
"""What gradient searches have in common around their steps: first alpha, progress, a penalty, and the figures they show."""
from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import torch

from mcunas.search.nas import finals
from mcunas.search.nas.run import NasRun
from mcunas.search.nas.shared import Shared
from mcunas.space import Genotype
from mcunas.space.supernet import Supernet
from mcunas.tasks.training import number, recalibrate, score

FIRST_ALPHA = 1e-3          # deviation


def by_epochs(run: NasRun, shared: Shared, epoch: Callable[[], None]) -> Genotype:
    """Search by `epoch` from where `run` stands, and by the last stage."""
    if not run.notes:
        scatter(run, shared.net)
    while run.epoch < run.supernet_epochs:
        epoch()
    say(run, shared)
    return finals.of_supernet(run, shared.net, probabilities(shared.net))


def scatter(run: NasRun, net: Supernet) -> None:
    """Give alpha its first values: nearly alike."""
    noise = run.noise(-1)
    with torch.no_grad():
        for alpha in net.arch():
            alpha.copy_(FIRST_ALPHA * torch.randn(alpha.shape, generator=noise))


def progress(run: NasRun, epoch: float) -> float:
    """0..1 of the epochs in which alpha moves."""
    first = run.schedule.warmup_epochs
    return min(max((epoch - first) / max(run.supernet_epochs - first, 1), 0.0), 1.0)


def probabilities(net: Supernet, tau: float = 1.0) -> dict[str, dict[str, float]]:
    """slot -> option -> probability, of options that are alive."""
    return {name: {block.names[k]: float(block.probs(tau).detach()[k]) for k in block.alive}
            for name, block in net.choices().items()}


def entropies(probs: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Of each slot's probabilities (N,)."""
    return [-(p * p.clamp(min=1e-12).log()).sum() for p in probs]


def undecided(probs: Iterable[torch.Tensor], at: float) -> torch.Tensor:
    """Mean entropy of the slots' probabilities (N,), weighed from 0 at half of the search to 1 at its end: for alpha's loss.

    Without it the expectation can meet the budget while the most probable network is far below.
    """
    found = entropies(probs)
    return max(2 * at - 1, 0.0) * sum(found) / len(found)


def of_epoch(run: NasRun, shared: Shared, tau: float = 1.0) -> dict[str, float]:
    """Entropy, prices, and the argmax network's `validation`."""
    found = validation(run, shared.net, shared.net.best())
    return {"entropy": shared.entropy(), **_priced(run, shared.net, tau), "validation": found}


def validation(run: NasRun, net: Supernet, choices: Mapping[str, str]) -> float:
    """Accuracy of one network of the supernet, with its weights and batch norms of its own."""
    found = net.extract(choices)
    recalibrate(found, run.task, 256)
    return score(found, run.task, run.task.validation[:1000])


def say(run: NasRun, shared: Shared, tau: float = 1.0) -> None:
    """Into the facts: how decided the search ended, and how far its expectation was from the compiler's figure."""
    run.prices.anchor(run.space.genotype(shared.net.best()))
    found = _priced(run, shared.net, tau)
    gap = found["expected_cycles"] / found["cycles"] - 1
    run.facts |= {"entropy": shared.entropy(), "expected_gap": gap if math.isfinite(gap) else None,
                  "option_forwards": run.ledger.option_forwards, **{k: round(v) for k, v in found.items()}}


def _priced(run: NasRun, net: Supernet, tau: float) -> dict[str, float]:
    """Expected cycles and flash without noise, and those of the argmax network by the compiler."""
    exact = run.prices.exact(run.space.genotype(net.best()))
    with torch.no_grad():
        expected = run.prices.expected(net.probs(tau), net.names())
    return {"expected_cycles": number(expected.cycles), "expected_flash_bytes": float(expected.flash_bytes),
            "cycles": exact.cycles, "flash_bytes": exact.flash_bytes, "ram_bytes": exact.ram_bytes}
