# SPDX-License-Identifier: Apache-2.0
"""Two pictures (PNG): a row of dots per arm, and named points in a plane."""
from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from statistics import mean

from matplotlib.figure import Figure


def dots(points: Mapping[str, Sequence[float]], axis: str) -> bytes:
    """arm -> a value per seed: a row of dots each, and a bar at the mean."""
    figure = Figure(figsize=(7, 1.2 + 0.35 * len(points)), layout="constrained")
    axes = figure.subplots()
    for row, found in enumerate(points.values()):
        axes.plot(found, [row] * len(found), "o", color="#1f5f99", alpha=0.6)
        axes.plot([mean(found)] * 2, [row - 0.3, row + 0.3], color="#b03a2e", linewidth=3)
    axes.set_yticks(range(len(points)), list(points))
    axes.invert_yaxis()
    axes.set_xlabel(axis)
    axes.grid(axis="x", alpha=0.3)
    return _png(figure)


def plane(points: Sequence[tuple[str, float, float]], across: str, up: str) -> bytes:
    """(name, x, y): a named point each."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, x, y in points:
        axes.plot([x], [y], "o", color="#1f5f99", alpha=0.7)
        axes.annotate(name, (x, y), textcoords="offset points", xytext=(5, 3), fontsize=8)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(alpha=0.3)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    found = io.BytesIO()
    figure.savefig(found, format="png", dpi=110)
    return found.getvalue()
