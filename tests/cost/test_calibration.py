# SPDX-License-Identifier: Apache-2.0
"""Fitting: benchmarks that cost what a core's table says give that table back, whatever the fit starts from."""
from __future__ import annotations

from dataclasses import fields, replace

import pytest

from mcunas.cost.benches import Bench
from mcunas.cost.calibration import Measured, blocks_of, body_cycles, fit
from mcunas.timing import Timing
from tests.cost.test_cycles import CORES, code

TYPICAL = {core: replace(timing, **{f.name: (figure[len(figure) // 2],) for f in fields(Timing)[1:]
                                    for figure in [getattr(timing, f.name)]}) for core, timing in CORES.items()}
BENCHES = [     # name, body, entry
    ("alu_pair", "add.w r0, r3, r4; add.w r6, r3, r4", ""),
    ("alone", "ldr r0, [r1, #0]; adds r5, r5, r3", "load"),
    ("behind", "ldr r0, [r1, #0]; ldr r5, [r2, #0]", "load_behind_load"),
    ("used", "ldr r0, [r1, #0]; adds r5, r5, r0", "load_use"),
    ("byte_used", "ldrb r0, [r2, #0]; adds r5, r5, r0", "load_use_narrow"),
    ("store", "str r0, [r2, #4]; adds r5, r5, r3", "store"),
    ("four", "ldmia.w r2, {r0, r4, r5, r6}; adds r3, r3, r7", "per_word"),
    ("two", "ldmia.w r2, {r0, r4}; adds r3, r3, r7", "multiple"),
    ("mla", "mla r0, r3, r4, r0", "multiply_accumulate"),
    ("divide", "sdiv r0, r4, r5", "divide"),
    ("jump", "bx r0", "refill_register"),
    ("dot", "ldrsb.w r0, [r1, #1]; ldrsb.w r5, [r2, #1]; mla r6, r0, r5, r6", ""),
]


def measured(core: str, copies: int = 16) -> list[Measured]:
    """The benchmarks as `core` would run them."""
    found = []
    for name, body, entry in BENCHES:
        bench = Bench(name, body, entry, minus="two" if name == "four" else "", copies=copies, mix=name == "dot")
        one = Measured(bench, code("; ".join([body] * copies)), code("; ".join([body] * 2 * copies)), 0.0)
        found.append(replace(one, cycles=body_cycles(one, TYPICAL[core])))
    return found


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7"])
def test_a_core_is_found_again(core: str) -> None:
    true = TYPICAL[core]
    start = replace(true, issue="single", **{f.name: (getattr(true, f.name)[0] + 1,) for f in fields(Timing)[1:]})
    found = fit(measured(core), start)
    assert found.timing.issue == true.issue
    decided = {line.entry for line in found.lines} - {""}
    assert decided >= {"load", "store", "per_word", "multiple", "multiply_accumulate", "divide", "refill_register"}
    assert "multiply" in found.undecided and found.timing.multiply == start.multiply
    for entry in decided:
        assert getattr(found.timing, entry) == pytest.approx(getattr(true, entry), abs=0.002), entry
    assert all(abs(line.residual) < 0.02 for line in found.lines) and found.error_percent < 0.5


def test_benchmarks_of_one_figure_give_its_least_median_and_most() -> None:
    some = [one for one in measured("cortex-m4") if one.bench.name in ("alone", "dot")]
    divides = [replace(one, cycles=cycles) for one in measured("cortex-m4") if one.bench.name == "divide"
               for cycles in (2.0, 12.0, 5.0)]
    divides = [replace(one, bench=replace(one.bench, name=f"divide{i}")) for i, one in enumerate(divides)]
    assert fit([*some, *divides], TYPICAL["cortex-m4"]).timing.divide == (2.0, 5.0, 12.0)


def test_what_the_figures_cannot_say_is_a_residual() -> None:
    slow = [replace(one, cycles=one.cycles * (1.5 if one.bench.name == "dot" else 1)) for one in measured("cortex-m4")]
    found = fit(slow, TYPICAL["cortex-m4"])
    line = next(line for line in found.lines if line.name == "dot")
    assert line.residual == pytest.approx(line.model - 1.5 * line.model) and found.error_percent == pytest.approx(100 / 3)


def test_loops_and_branches_inside_a_body_are_followed() -> None:
    loop = code("movs r0, #4; dls lr, r0; adds r5, r5, r3; le lr, 4 <f>; beq.n a <f>; nop")
    blocks = blocks_of(loop, Bench("loop", "", turns=4))
    assert [(len(block.instructions), block.runs, block.taken) for block in blocks] == [
        (4, 2, 2), (2, 6, 4), (1, 2, 2), (1, 2, 0)]
