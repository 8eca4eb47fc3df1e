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
    """(name, x, y): a point each; a name stands once, at the mean of its points, with others of the same place."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([x for _, x, _ in points], [y for _, _, y in points], "o", color="#1f5f99", alpha=0.7)
    at: dict[tuple[float, float], list[str]] = {}
    for name in dict.fromkeys(name for name, _, _ in points):
        own = [(x, y) for n, x, y in points if n == name]
        at.setdefault(tuple(mean(v) for v in zip(*own)), []).append(name)
    for place, names in at.items():
        axes.annotate(", ".join(names), place, textcoords="offset points", xytext=(5, 3), fontsize=8)
    axes.margins(x=0.16)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(alpha=0.3)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    found = io.BytesIO()
    figure.savefig(found, format="png", dpi=110)
    return found.getvalue()
