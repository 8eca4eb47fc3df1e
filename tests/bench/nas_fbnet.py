# SPDX-License-Identifier: Apache-2.0
"""FBNet (nas-methods.md, paper 4): networks searched for two boards differ, and each is faster on its own.

One search per board and seed, each under a budget that random networks are as near to on either board. At equal accuracy
each is then the faster one on its own board, if searches find what suits a board. Beside it random search under the same
samples and under the same CPU seconds, one option always, and two placebos: alpha that never moves, prices that stand
beside other options.
"""
from __future__ import annotations

from statistics import mean
from typing import Any

from mcunas.board import Board
from mcunas.device.alone import simulated
from mcunas.space import Genotype
from mcunas.space.price import Prices
from tests.bench import nas_contest as contest
from tests.bench.measure import markdown
from tests.bench.nas import Arm
from tests.bench.nas_report import Rows, beats, both, gates, of, percent, picture, say, table, words

CPU_TIMES = 3.0         # samples that random search sees for the CPU seconds of a supernet's
ARMS = {
    "fbnet-m4": Arm("fbnet", note="searched for the Cortex-M4"),
    "fbnet-m0plus": Arm("fbnet", board=contest.M0PLUS, note="searched for the Cortex-M0+"),
    "random": Arm("random-space", note="random search, the same samples"),
    "random-cpu": Arm("random-space", {"times": CPU_TIMES}, note="random search, about the same CPU seconds"),
    "shuffled": Arm("fbnet", {"placebo": "shuffled"}, note="placebo: prices beside other options"),
    "frozen": Arm("fbnet", {"placebo": "frozen"}, note="placebo: alpha never moves"),
    **{f"always-{option}": Arm("always", {"option": option}, note=f"{option} wherever the budget lets it")
       for option in contest.SPACE["options"] if option != "skip"},
}
ELSEWHERE = " On the other board: the latency that networks at this limit take there, by their median."
BOARDS = {"fbnet-m4": contest.M4, "fbnet-m0plus": contest.M0PLUS}


def report(rows: Rows, extra: dict[str, Any]) -> tuple[str, dict[str, str]]:
    text = ["# FBNet: one search per board\n", words("fbnet", ELSEWHERE), "",
            table(rows, {n: a.note for n, a in ARMS.items()}),
            "## Networks\n", _networks(rows), "## Each on the other's board\n", _cross(rows), "## Expectations\n",
            "\n".join([*gates(rows), *_expected(rows)]) + "\n", "![accuracy over latency](nas-fbnet.svg)\n"]
    return "\n".join(text), {"nas-fbnet.svg": picture([r for r in rows if r["board"] == contest.M4],
                                                      [n for n, a in ARMS.items() if a.board == contest.M4])}


def _networks(rows: Rows) -> str:
    lines = [[r["arm"], r["seed"], " ".join(r["choices"].values()), f"{r['facts'].get('entropy', 1):.2f}",
              f"{100 * r['facts']['expected_gap']:+.1f} %", r["facts"]["changed_slots"]]
             for arm in ARMS for r in of(rows, arm) if "expected_gap" in r["facts"]]
    return markdown(["arm", "seed", "options in order", "entropy", "expected over exact cycles", "slots changed"], lines)


def _cycles(rows: Rows) -> dict[tuple[str, str], list[int]]:
    """(arm, board) -> exact cycles of its networks there."""
    prices = {b: Prices(contest.space(), Board.load(b), contest.RAM_BYTES, simulated) for b in BOARDS.values()}
    return {(arm, b): [p.exact(Genotype.of_fields(r["genotype"])).cycles for r in of(rows, arm)]
            for arm in BOARDS for b, p in prices.items()}


def _cross(rows: Rows) -> str:
    found, lines = _cycles(rows), []
    for arm in BOARDS:
        if of(rows, arm):
            lines.append([arm, percent(of(rows, arm)), *(f"{mean(found[arm, b]) / 1e6:.3f} ("
                          + " ".join(f"{c / 1e6:.3f}" for c in found[arm, b]) + ")" for b in BOARDS.values())])
    return markdown(["searched for", "int8 %", *(f"megacycles on {b}" for b in BOARDS.values())], lines)


def _expected(rows: Rows) -> list[str]:
    found, lines = _cycles(rows), []
    one, other = both(rows, *BOARDS)
    if one:
        differ = sum(a["choices"] != b["choices"] for a, b in zip(one, other))
        lines.append(say(f"networks for the two boards differ ({differ} of {len(one)} seeds)", differ == len(one)))
        for arm, rival in (tuple(BOARDS), tuple(BOARDS)[::-1]):
            own, theirs = mean(found[arm, BOARDS[arm]]), mean(found[rival, BOARDS[arm]])
            lines.append(say(f"{arm} is faster on its own board: {own / theirs:.3f} of the cycles of {rival}", own < theirs))
        gap = 100 * (mean(r["int8_accuracy"] for r in one) - mean(r["int8_accuracy"] for r in other))
        lines.append(say(f"at equal accuracy: {gap:+.2f} points, at most 0.5", abs(gap) <= 0.5))
    searched = [r for arm in BOARDS for r in of(rows, arm)]
    if searched:
        most = max(abs(r["facts"]["expected_gap"]) for r in searched)
        lines.append(say(f"expected cycles end within 5 % of the compiler's (largest gap {100 * most:.1f} %)", most < 0.05))
        fall = max(r["facts"]["entropy"] for r in searched)
        lines.append(say(f"the searches decide: entropy ends below half of its most ({fall:.2f})", fall < 0.5))
        use = min(max(r["exported_use"].values()) for r in searched)
        lines.append(say(f"the budget binds: every searched network uses 0.8 of a budget (least {use:.2f})", use >= 0.8))
    for rival in ("random", "random-cpu", "shuffled", "frozen", *(n for n in ARMS if n.startswith("always"))):
        lines += beats(rows, "fbnet-m4", rival)
    return lines
