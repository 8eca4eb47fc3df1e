# SPDX-License-Identifier: Apache-2.0
"""Writes a fitted calibration as the cycle table of one board, in the form of boards/cost/<core>.toml."""
from __future__ import annotations

import json
import math
from dataclasses import fields

from mcunas.cost.calibration import Fitted
from mcunas.timing import Calibration, MeasuredBench, Timing

_PAIRS_AND_BEATS = ("load_use", "load_use_narrow", "multiply_use", "vector")    # a core that issues singly has none


def measured_benches(fitted: Fitted) -> tuple[MeasuredBench, ...]:
    """What the table keeps of every benchmark."""
    return tuple(MeasuredBench(line.name, line.entry, round(line.cycles, 3), round(line.residual, 3) + 0.0)
                 for line in fitted.lines)


def error_percent(fitted: Fitted) -> float:
    """Rounded up to a tenth."""
    return math.ceil(round(fitted.error_percent * 10, 6)) / 10


def table(board: str, core: str, fitted: Fitted, done: Calibration) -> str:
    """The file's text. board, core: keys; low and high of the plain cycles per instruction hold the error."""
    least, mean, most = fitted.cycles_per_instruction
    error = error_percent(fitted)
    lines = [
        "# SPDX-License-Identifier: Apache-2.0",
        f"# Cycles of {board}, by mcunas calibrate: {len(done.benches)} micro-benchmarks on {done.target}, {done.counter}.",
        "# Each figure of [timing] makes the cycle model agree with the benchmarks that name it as their entry; [least,",
        "# typical, most] where they differ. error_percent: nine tenths of the benchmarks that only check agree within it;",
        "# whole kernels add what straight lines do not show (flash, buses). cycles_per_instruction: mean of kernels' inner",
        "# loops; low and high: the least and the most of them, and the error.",
        f"core                   = {_text(core)}",
        f"cycles_per_instruction = {round(mean, 3):g}",
        f"low                    = {round(least * (1 - error / 100), 3):g}",
        f"high                   = {round(most * (1 + error / 100), 3):g}",
        f"source                 = {_text(f'calibrated on {done.date} ({done.target}, {done.counter})')}",
        f"error_percent          = {error:g}",
        "", "[timing]", *_timing(fitted.timing),
        "", "[calibration]",
        *(f"{f.name:<9} = {_text(getattr(done, f.name))}" for f in fields(Calibration) if f.type == "str"),
        f"clock_hz  = {done.clock_hz}",
        f"undecided = [{', '.join(_text(name) for name in done.undecided)}]",
        "benches   = [",
        *(f"  {{ name = {_text(b.name)}, entry = {_text(b.entry)}, cycles = {b.cycles:g}, residual = {b.residual:g} }},"
          for b in done.benches),
        "]",
    ]
    return "\n".join(lines) + "\n"


def _timing(timing: Timing) -> list[str]:
    lines = [f'issue                    = "{timing.issue}"']
    for f in fields(Timing)[1:]:
        if timing.issue != "single" or f.name not in _PAIRS_AND_BEATS:
            lines.append(f"{f.name:<24} = [{', '.join(f'{x:g}' for x in getattr(timing, f.name))}]")
    return lines


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)     # a JSON string is a TOML string
