# SPDX-License-Identifier: Apache-2.0
"""Curves through points with an x of their own, as inline SVG in the style of charts.py."""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from mcunas.report.charts import BOTTOM, COLOURS, LEFT, RIGHT, TOP, _legend, _log_ticks, _ticks, opened


@dataclass(frozen=True)
class Curve:
    """Points (x, y) in the order in which they are joined; x > 0. others: shown, and not joined."""

    name: str
    points: Sequence[tuple[float, float]]
    others: Sequence[tuple[float, float]] = ()


def curves(found: Sequence[Curve], x_label: str, y_label: str, mark: float | None = None, width: int = 460,
           height: int = 250) -> str:
    """A chart with a logarithmic x axis; `mark` is an x with a dashed line. Empty input gives an empty string."""
    points = [(x, y) for curve in found for x, y in (*curve.points, *curve.others) if x > 0 and math.isfinite(y)]
    if not points:
        return ""
    across = [x for x, _ in points] + ([mark] if mark else [])
    x_ticks, y_ticks = _log_ticks(min(across), max(across)), _ticks(min(y for _, y in points), max(y for _, y in points))

    def at(x: float, y: float) -> tuple[float, float]:
        right = math.log(x / x_ticks[0]) / (math.log(x_ticks[-1] / x_ticks[0]) or 1.0)
        up = (y - y_ticks[0]) / ((y_ticks[-1] - y_ticks[0]) or 1.0)
        return LEFT + (width - LEFT - RIGHT) * right, height - BOTTOM - (height - TOP - BOTTOM) * up

    parts = [opened(width, height, f"{y_label} over {x_label}")]
    for tick in y_ticks:
        _, y = at(x_ticks[0], tick)
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{width - RIGHT}" y2="{y:.1f}"/>'
                     f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in x_ticks:
        x, _ = at(tick, y_ticks[0])
        parts.append(f'<text class="tick" x="{x:.1f}" y="{height - BOTTOM + 16}" text-anchor="middle">{tick:g}</text>')
    parts.append(f'<text class="tick" x="{(LEFT + width - RIGHT) / 2:.0f}" y="{height - 3}" text-anchor="middle">'
                 f"{escape(x_label)}</text>")
    if mark:
        x, _ = at(mark, y_ticks[0])
        parts.append(f'<line class="line s{COLOURS - 1} dashed" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" '
                     f'y2="{height - BOTTOM}"/>')
    for n, curve in enumerate(found):
        places = [at(x, y) for x, y in curve.points if x > 0 and math.isfinite(y)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline class="line s{n % COLOURS}" points="{path}"><title>{escape(curve.name)}</title></polyline>')
        places += [at(x, y) for x, y in curve.others if x > 0 and math.isfinite(y)]
        parts += [f'<circle class="fill s{n % COLOURS}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in places]
    return "".join(parts) + "</svg>" + _legend([curve.name for curve in found])
