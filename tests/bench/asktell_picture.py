# SPDX-License-Identifier: Apache-2.0
"""Two pictures (SVG) of searches: curves over evaluations, and named clouds of points."""
from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.figure import Figure

_COLOURS = ("#1f5f99", "#b03a2e", "#2e7d4f", "#8a5a00", "#6a3d9a")


def curves(lines: Mapping[str, Sequence[float]], across: str, up: str) -> str:
    """arm -> a value after each evaluation."""
    figure, axes = _axes(across, up)
    for colour, (name, values) in zip(_COLOURS, lines.items()):
        axes.plot(range(1, len(values) + 1), values, color=colour, label=name)
    axes.legend(frameon=False)
    return _svg(figure)


def clouds(points: Mapping[str, tuple[Sequence[float], Sequence[float]]], across: str, up: str,
           marked: float | None = None) -> str:
    """arm -> (x, y) of each network. marked: an x with a line."""
    figure, axes = _axes(across, up)
    for colour, (name, (x, y)) in zip(_COLOURS, points.items()):
        axes.plot(x, y, "o", color=colour, alpha=0.45, markersize=4, label=name)
    if marked is not None:
        axes.axvline(marked, color="#444444", linestyle="--", linewidth=1)
    axes.legend(frameon=False)
    return _svg(figure)


def _axes(across: str, up: str):
    matplotlib.rcParams["svg.hashsalt"] = "mcunas"        # the same picture is the same file
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(alpha=0.3)
    return figure, axes


def _svg(figure: Figure) -> str:
    found = io.StringIO()
    figure.savefig(found, format="svg", metadata={"Date": None})
    return found.getvalue()
