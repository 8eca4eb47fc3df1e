# SPDX-License-Identifier: Apache-2.0
"""MnasNet (nas-methods.md, paper 15): the controller beside TPE and draws by lot at equal evaluations, on the table and in
trained searches; what the soft exponent does to the front; the promised latency beside the simulator's.
"""
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import optuna
from scipy.stats import wilcoxon

from mcunas.atomic import write_file
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.device.alone import simulated
from mcunas.search import search
from mcunas.search.asktell.fitting import FittingSampler
from mcunas.search.asktell.policy import PolicySampler, Rule
from mcunas.search.asktell.reward import EXPONENTS, reward
from mcunas.space import space as spaces
from mcunas.space.factored import MNASNET, Factored
from mcunas.space.price import Prices
from mcunas.tasks import Schedule
from tests.bench import asktell_oracle as oracle
from tests.bench import asktell_table as table
from tests.bench import nas_contest as contest
from tests.bench.asktell_picture import clouds
from tests.bench.kept import row_of
from tests.bench.measure import markdown
from tests.bench.nas_report import beats, gates, of, percent, say
from tests.bench.structure_end import finished

SEEDS = tuple(range(32))            # of the table's searches; nothing was tuned on these
EVALUATIONS, TARGET_PERCENTILE = 60, 30
ARMS = ("mnas", "mnas-soft", "tpe", "random")
SEARCHES = {"mnas": ("mnas", {"latency": "simulated"}), "tpe": ("tpe", {}), "random": ("tpe", {"sampler": "random"})}
SCHEDULE = Schedule(prune_epochs=12, finetune_epochs=20, qat_epochs=2, warmup_epochs=1, batch=64, rate=0.05,
                    epoch_samples=3_072)
SETTINGS = {"times": 4.0, "epochs": 2}        # 24 evaluations
SHARE = 0.5             # of the latency of mb3 everywhere: T
TOLERANCE, LEVEL = 0.02, 0.05


def measure(folder: Path, seeds: list[int], quick: bool, stop: Callable[..., None]) -> dict[str, Any]:
    table.build(stop, quick)
    contests = [_contest(folder, seed, stop) for seed in (SEEDS[:2] if quick else SEEDS)]
    rows = [_trained(folder, name, seed, quick, stop) for seed in seeds for name in SEARCHES]
    return {"target_cycles": _target(), "networks": len(oracle.oracle().rows), "contests": contests,
            "rows": [r for r in rows if r], "soft": _family()}


def _target() -> float:
    return float(np.percentile(oracle.oracle().column("cycles"), TARGET_PERCENTILE))


def _family() -> list[list[float]]:
    """[cost / T, hard, soft] of networks of which twice the cost is worth 5 % more accuracy: rewards over that at T."""
    return [[c, *(reward(1 + 0.05 * np.log2(c), c, 1.0, EXPONENTS[name]) for name in ("hard", "soft"))]
            for c in (0.5, 1.0, 2.0, 4.0)]


def _contest(folder: Path, seed: int, stop: Callable[..., None]) -> dict[str, Any]:
    """Of one seed: per arm its networks as [cycles, accuracy], and the best rewards."""
    path = folder / f"table-{seed}.json"
    if not path.exists():
        stop()
        target, found = _target(), {}
        for arm in ARMS:
            exponents = EXPONENTS["soft" if arm == "mnas-soft" else "hard"]

            def worth(f: Any, exponents: tuple[float, float] = exponents) -> float:
                return reward(f["accuracy"], f["cycles"], target, exponents)

            problem = oracle.problem(worth, None)
            nets = oracle.searched(problem, sampler_of(arm, problem, EVALUATIONS), EVALUATIONS, seed)
            best = max(worth(r) for r in oracle.oracle().rows.values())
            found[arm] = {"networks": [[n.figures["cycles"], n.figures["accuracy"]] for n in nets],
                          "regret": [best - v for v in oracle.best_so_far([worth(n.figures) for n in nets], EVALUATIONS)]}
        write_file(path, json.dumps({"seed": seed, "arms": found}) + "\n")
    return json.loads(path.read_text())


def sampler_of(arm: str, problem: Any, evaluations: int) -> Any:
    """All arms draw again what is not in the table or known, so that each has as many evaluations as the others."""
    own = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
    if arm in own:
        return FittingSampler(problem, lambda seed: own[arm](seed=seed)).seeded
    return PolicySampler(problem, oracle.GENERATION, Rule(generations=evaluations // oracle.GENERATION)).seeded


def target_us() -> float:
    """T of the trained searches."""
    board, space = Board.load(contest.M4), spaces.load("images", table.SPACE, (28, 28, 1), 10)
    own = Factored(space, {"op": ["mb3"], "width": [1.0], "layers": [2]})
    return SHARE * Prices(own.space, board, None, simulated).exact(own.genotype({})).latency_us


def _trained(folder: Path, name: str, seed: int, quick: bool, stop: Callable[..., None]) -> dict[str, Any] | None:
    out, limits = folder / f"{name}-{seed}", Budget(contest.RAM_BYTES, 64 * 1024, target_us())
    method, changes = SEARCHES[name]
    schedule = SCHEDULE.smoke() if quick else SCHEDULE
    settings = {**SETTINGS, "factors": {k: list(v) for k, v in MNASNET.items()}, **changes}

    def run() -> dict[str, Any]:
        result = search(contest.TASK, Board.load(contest.M4), limits, method, out, seed, start="images",
                        options=table.SPACE, schedule=schedule, settings=settings, progress=stop)
        return {**finished(result, out, limits, stop), "choices": result.genotype.choices, "widths": result.genotype.widths,
                "promised_latency_us": result.cost.latency_us, "simulated": _simulated(out)}

    asked = {"method": method, "settings": settings, "schedule": vars(schedule), "budget": vars(limits),
             "space": table.SPACE}
    return row_of(out, asked, run, arm=name, seed=seed, board=contest.M4)


def _simulated(out: Path) -> dict[str, float]:
    """What the firmware executes in QEMU, and the cycles that its counted execution takes by the core's model."""
    from mcunas.api import build
    from mcunas.device import validate

    report = validate(build(out / "model.tflite", contest.M4, out / "firmware"), n_random=2)
    return {"instructions": report.measured.instructions, "promised_instructions": report.predicted.instructions,
            "cycles": report.measured.cycles, "promised_cycles": report.predicted.cycles}


def report(found: dict[str, Any]) -> tuple[str, dict[str, str]]:
    contests, rows, target = found["contests"], found["rows"], found["target_cycles"]
    at = [k for k in (20, 30, 40, EVALUATIONS) if k <= len(contests[0]["arms"]["mnas"]["regret"])]
    table_lines = [[arm, *(f"{100 * mean(c['arms'][arm]['regret'][k - 1] for c in contests):.2f}" for k in at),
                    f"{_late(contests, arm, np.median):.2f}", f"{_spread(contests, arm):.3f}",
                    f"{mean(_best(c, arm, target)[0] for c in contests):.2f}",
                    f"{mean(len(c['arms'][arm]['networks']) for c in contests):.1f}"] for arm in ARMS]
    text = ["# MnasNet: a factorized space and accuracy x (latency / T)^w\n",
            f"On the {found['networks']} networks of asktell-table.json (T: {target:,.0f} cycles, its "
            f"{TARGET_PERCENTILE}th percentile), {len(contests)} seeds, {EVALUATIONS} evaluations in generations of "
            f"{oracle.GENERATION}. Regret: 100 times the best reward of the table less the best found, by the arm's own "
            "exponent. Late: of the second half of the networks that were tried.\n",
            markdown(["arm", *(f"regret after {k}" for k in at), "median cycles / T, late", "spread of log cycles, late",
                      "cycles / T of the best", "networks"], table_lines),
            "## Rewards where twice the latency buys 5 % accuracy\n",
            markdown(["latency / T", "hard", "soft"], [[c, f"{h:.4f}", f"{s:.4f}"] for c, h, s in found["soft"]]),
            *(_trained_table(rows) if rows else ()),
            "## Expectations\n", "\n".join([*_on_table(contests, target, found["soft"]), *_of_trained(rows)]) + "\n",
            "![accuracy over cycles](asktell-mnas.svg)\n"]
    late = {arm: _late_networks(contests, arm) for arm in ("mnas", "mnas-soft")}
    points = {arm: (nets[:, 0] / target, 100 * nets[:, 1]) for arm, nets in late.items()}
    return "\n".join(text), {"asktell-mnas.svg": clouds(points, "cycles / T of networks tried late",
                                                        "validation accuracy, %", 1.0)}


def _trained_table(rows: list[dict[str, Any]]) -> list[str]:
    return ["## Trained searches\n",
            f"Fashion-MNIST, {contest.TRAINING_IMAGES:,} training images, all test images; T = {SHARE} of the latency of "
            "mb3 everywhere. Every chosen network keeps T, is trained from scratch by one recipe, quantized, run in QEMU.\n",
            markdown(["arm", "int8 %", "per seed", "latency / T", "validation %", "evaluations", "samples", "CPU s",
                      "network"], [_line(rows, arm) for arm in SEARCHES if of(rows, arm)])]


def _line(rows: list[dict[str, Any]], arm: str) -> list[Any]:
    own = of(rows, arm)
    return [arm, percent(own), " ".join(f"{100 * r['int8_accuracy']:.2f}" for r in own),
            " ".join(f"{r['exported_use']['latency']:.3f}" for r in own), percent(own, "validation_accuracy"),
            own[0]["facts"]["evaluations"], round(mean(r["samples"] for r in own)),
            round(mean(sum(r["cpu_seconds"].values()) for r in own)),
            "; ".join(" ".join(r["choices"].values()) + f" {list(r['widths'].values())}" for r in own)]


def _late_networks(contests: list[dict[str, Any]], arm: str) -> np.ndarray:
    """(N, 2): cycles, accuracy."""
    own = [c["arms"][arm]["networks"] for c in contests]
    return np.array([net for nets in own for net in nets[len(nets) // 2:]])


def _late(contests: list[dict[str, Any]], arm: str, what: Callable) -> float:
    return float(what(_late_networks(contests, arm)[:, 0])) / _target()


def _spread(contests: list[dict[str, Any]], arm: str) -> float:
    return float(np.log(_late_networks(contests, arm)[:, 0]).std())


def _best(one: dict[str, Any], arm: str, target: float) -> tuple[float, float]:
    """(cycles / T, accuracy) of the network of most reward."""
    exponents = EXPONENTS["soft" if arm == "mnas-soft" else "hard"]
    cycles, accuracy = max(one["arms"][arm]["networks"], key=lambda n: reward(n[1], n[0], target, exponents))
    return cycles / target, accuracy


def _on_table(contests: list[dict[str, Any]], target: float, family: list[list[float]]) -> list[str]:
    lines = []
    end = {arm: np.array([c["arms"][arm]["regret"][-1] for c in contests]) for arm in ARMS}
    area = {arm: np.array([mean(c["arms"][arm]["regret"][20:]) for c in contests]) for arm in ARMS}
    for rival, margin in (("random", 0.0), ("tpe", 0.001)):
        gain = area[rival] - area["mnas"]
        chance = float(wilcoxon(gain, alternative="greater").pvalue) if gain.any() else 1.0
        held = gain.mean() > 0 and chance < LEVEL if rival == "random" else gain.mean() > -margin
        verb = "beats" if rival == "random" else "matches (within 0.1) or beats"
        lines.append(say(f"mnas {verb} {rival} at equal evaluations: mean regret {100 * area['mnas'].mean():.2f} against "
                         f"{100 * area[rival].mean():.2f}, at the end {100 * end['mnas'].mean():.2f} against "
                         f"{100 * end[rival].mean():.2f}; better in {int((gain > 0).sum())}, worse in "
                         f"{int((gain < 0).sum())} of {len(gain)} seeds; paired Wilcoxon p = {chance:.4f}", held))
    soft, hard = _spread(contests, "mnas-soft"), _spread(contests, "mnas")
    lines.append(say(f"the soft exponent looks at a wider range of latencies: spread of log cycles {soft:.3f} against "
                     f"{hard:.3f}", soft > hard))
    over = [mean(_best(c, arm, target)[0] for c in contests) for arm in ("mnas-soft", "mnas")]
    lines.append(say(f"and its best networks are slower, and more accurate: {over[0]:.2f} T against {over[1]:.2f} T, "
                     f"{100 * mean(_best(c, 'mnas-soft', target)[1] for c in contests):.2f} % against "
                     f"{100 * mean(_best(c, 'mnas', target)[1] for c in contests):.2f} %", over[0] > over[1]))
    within = [_best(c, "mnas", target)[0] for c in contests]
    lines.append(say(f"with the hard exponent the best network keeps T within {100 * TOLERANCE:.0f} % "
                     f"({max(within):.3f} T at most)", max(within) <= 1 + TOLERANCE))
    flat = max(s for _, _, s in family) / min(s for _, _, s in family) - 1
    lines.append(say(f"the soft reward is flat within 0.4 % where twice the latency buys 5 % ({100 * flat:.2f} %)",
                     flat < 0.004))
    return lines


def _of_trained(rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        return []
    off = [abs(r["simulated"]["instructions"] / r["simulated"]["promised_instructions"] - 1) for r in rows]
    cycles = [abs(r["simulated"]["cycles"] / r["simulated"]["promised_cycles"] - 1) for r in rows]
    use = [r["simulated"]["cycles"] / (target_us() * 1e-6 * Board.load(contest.M4).clock_hz) for r in of(rows, "mnas")]
    lines = [say(f"in QEMU the networks of mnas, which measures there, keep T within {100 * TOLERANCE:.0f} % (at most "
                 f"{max(use, default=0):.3f} T)", max(use, default=0) <= 1 + TOLERANCE),
             f"- of all networks, instructions are off from their price by {100 * max(off):.2f} % at most, cycles of the "
             f"counted execution by {100 * max(cycles):.2f} %"]
    return [*gates(rows), *lines, *beats(rows, "mnas", "random"), *beats(rows, "mnas", "tpe")]
