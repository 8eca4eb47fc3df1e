# SPDX-License-Identifier: Apache-2.0
"""RARTS (nas-methods.md, paper 13): the solvable model, a width that is known, and the contest beside first-order DARTS.

DARTS here is the same code, halves, passes and rates, with alpha's step by the one network alone. Random search and one
option always are those of the other experiments, which are the same contest.
"""
from __future__ import annotations

import json
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from mcunas.search.relaxed import Coupling, FirstOrder, Relaxed
from tests.bench import nas_rarts_width as width
from tests.bench.measure import markdown
from tests.bench.nas import Arm
from tests.bench.nas_report import Rows, baselines, beats, gates, picture, say, table, words

ARMS = {
    "rarts": Arm("rarts", note="lam = beta = 10, alpha by the passes that move the weights"),
    "darts": Arm("rarts", {"update": "darts"}, note="first-order DARTS, the same halves and passes"),
}
STRENGTHS, SEEDS, STEPS = (3, 10, 30, 100), (0, 1, 2), 3000


def extra(folder: Path, quick: bool, stop: Any) -> dict[str, Any]:
    """The solvable model from random starts and coefficients, and the known widths."""
    model = [{"lam": s, **_solve(seed, s)} for s in STRENGTHS for seed in SEEDS]
    rows = []
    for seed in SEEDS[:1] if quick else SEEDS:
        for teacher in width.TEACHERS[:1] if quick else width.TEACHERS:
            kept = folder / f"width-{teacher}-{seed}.json"
            if not kept.exists():
                stop()
                kept.write_text(json.dumps(width.run(teacher, seed)) + "\n")
            rows.append(json.loads(kept.read_text()))
    return {"model": model, "widths": rows}


def _solve(seed: int, strength: float) -> dict[str, float]:
    """L_t = (w - c alpha)^2, L_v = alpha w - d alpha, whose bilevel optimum is alpha = d / 2c. float64."""
    random = torch.Generator().manual_seed(seed)
    c, d = (0.5 + 1.5 * torch.rand(2, generator=random)).tolist() if seed else (1.0, 2.0)
    w, y, alpha = (torch.nn.Parameter(4 * torch.randn(1, generator=random, dtype=torch.float64)) for _ in range(3))

    def train() -> torch.Tensor:
        return (w - c * alpha).square().sum()

    def validation(weights: torch.Tensor) -> torch.Tensor:
        return (alpha * weights - d * alpha).sum()

    rates = 0.9 / (3 * strength), 0.9 / (2 * strength), 0.9 / (2 * strength * c * c + 1)
    optimizers = [torch.optim.SGD([p], rate) for p, rate in zip((w, y, alpha), rates)]
    relaxed = Relaxed([w], [y], [alpha], Coupling(strength, strength), optimizers)
    for _ in range(STEPS):
        relaxed.step(train, lambda: validation(y))
    found = float(alpha.detach())
    first = FirstOrder([w], [alpha], [torch.optim.SGD([p], 0.1) for p in (w, alpha)])
    for _ in range(STEPS // 4):
        first.step(train, lambda: validation(w))
    return {"seed": seed, "alpha": found, "closed_form": d / (2 * c - 1.5 / strength), "optimum": d / (2 * c),
            "first_order": float(alpha.detach()), "first_order_closed_form": d / c}


def report(rows: Rows, extra: dict[str, Any]) -> tuple[str, dict[str, str]]:
    others, notes = baselines()
    everything = [*rows, *others]
    text = ["# RARTS: two networks, one architecture, no second derivatives\n", words("rarts"), "",
            table(everything, {**{n: a.note for n, a in ARMS.items()}, **notes}), "## The solvable model\n", _model(extra),
            "## Known widths\n", _widths(extra), "## Expectations\n",
            "\n".join([*gates(rows), *_expected(everything, extra)]) + "\n", "![accuracy over latency](nas-rarts.svg)\n"]
    return "\n".join(text), {"nas-rarts.svg": picture(everything, [*ARMS, *notes])}


def _model(extra: dict[str, Any]) -> str:
    lines = [[r["lam"], r["seed"], f"{r['alpha']:.4f}", f"{r['closed_form']:.4f}", f"{r['optimum']:.4f}",
              f"{r['first_order']:.4f}"] for r in extra.get("model", ())]
    return ("L_t = (w - c alpha)^2, L_v = alpha w - d alpha; seed 0 is c = 1, d = 2, the others are random, starts "
            "always.\n\n"
            + markdown(["lam = beta", "seed", "alpha", "closed form", "bilevel optimum", "first-order DARTS"], lines))


def _widths(extra: dict[str, Any]) -> str:
    lines = [[r["teacher"], r["seed"], r["lambda"], r["best"],
              *(f"{r['arms'][a]['width']} ({100 * r['arms'][a]['regret']:+.1f} %)" for a in width.ARMS)]
             for r in extra.get("widths", ())]
    means = ["mean", "", "", "", *(f"{100 * _regret(extra, a):+.1f} %" for a in width.ARMS)] if lines else []
    return (f"A student of a random ReLU teacher, {2 * width.HALF} noisy samples, {width.STEPS} steps of two passes. Chosen "
            "width and its regret: squared error + lambda * width over the best of the grid, each trained anew.\n\n"
            + markdown(["teacher", "seed", "lambda", "grid's best", *width.ARMS], [*lines, means]))


def _regret(extra: dict[str, Any], arm: str) -> float:
    return mean(r["arms"][arm]["regret"] for r in extra["widths"])


def _expected(everything: Rows, extra: dict[str, Any]) -> list[str]:
    lines = []
    if extra.get("model"):
        off = max(abs(r["alpha"] / r["closed_form"] - 1) for r in extra["model"])
        lines.append(say(f"alpha within 2 % of the closed form (largest {100 * off:.3f} %)", off <= 0.02))
        wrong = max(abs(r["first_order"] - r["first_order_closed_form"]) for r in extra["model"])
        lines.append(say(f"first-order DARTS rests at its wrong point (off by {wrong:.1e} at most)", wrong < 1e-3))
        errors = [abs(r["alpha"] - 1) for r in extra["model"] if r["seed"] == 0]
        lines.append(say("|alpha - 1| falls with lam = beta: " + ", ".join(f"{e:.4f}" for e in errors),
                         errors == sorted(errors, reverse=True)))
    if extra.get("widths"):
        own, rival = _regret(extra, "rarts"), _regret(extra, "darts")
        better = sum(r["arms"]["rarts"]["regret"] < r["arms"]["darts"]["regret"] for r in extra["widths"])
        worse = sum(r["arms"]["rarts"]["regret"] > r["arms"]["darts"]["regret"] for r in extra["widths"])
        lines.append(say(f"widths better than first-order DARTS's: mean regret {100 * own:.1f} % against "
                         f"{100 * rival:.1f} % ({better} of {len(extra['widths'])} better, {worse} worse)", own < rival))
    for arm, rival in (("rarts", "darts"), ("rarts", "random")):
        lines += beats(everything, arm, rival)
    return lines
