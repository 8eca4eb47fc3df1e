# SPDX-License-Identifier: Apache-2.0
"""Charts as inline SVG: no script, no network, no plotting library in the page or behind it.

Colours are CSS classes (``s0`` ... ``s6`` of the page's style sheet), so one picture serves light and dark. Every mark
carries a <title>, which browsers show on hover and screen readers read. All text that comes from a model is escaped.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 34
COLOURS = 7


@dataclass(frozen=True)
class Series:
    """One line: `values[i]` at x = i; None is a gap. `dashed` is for limits."""

    name: str
    values: Sequence[float | None]
    dashed: bool = False


def lines(series: Sequence[Series], x_label: str, y_label: str, log: bool = False, width: int = 460,
          height: int = 250, x_first: int = 1) -> str:
    """A line chart over consecutive x. With `log`, values must be positive. Empty input gives an empty string."""
    known = [v for s in series for v in s.values if v is not None and math.isfinite(v) and (v > 0 or not log)]
    count = max((len(s.values) for s in series), default=0)
    if not known or count == 0:
        return ""
    ticks = _log_ticks(min(known), max(known)) if log else _ticks(min(known), max(known))
    low, high = ticks[0], ticks[-1]
    fold = math.log10 if log else float

    def x_of(i: float) -> float:
        return LEFT + (width - LEFT - RIGHT) * (i / max(count - 1, 1))

    def y_of(value: float) -> float:
        share = (fold(value) - fold(low)) / ((fold(high) - fold(low)) or 1.0)
        return height - BOTTOM - (height - TOP - BOTTOM) * share

    parts = [opened(width, height, f"{y_label} over {x_label}")]
    for tick in ticks:
        y = y_of(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{width - RIGHT}" y2="{y:.1f}"/>'
                     f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for i in _index_ticks(count):
        parts.append(f'<text class="tick" x="{x_of(i):.1f}" y="{height - BOTTOM + 16}" '
                     f'text-anchor="middle">{i + x_first}</text>')
    parts.append(f'<text class="tick" x="{(LEFT + width - RIGHT) / 2:.0f}" y="{height - 3}" '
                 f'text-anchor="middle">{escape(x_label)}</text>')
    for n, one in enumerate(series):
        points = [(x_of(i), y_of(v)) for i, v in enumerate(one.values)
                  if v is not None and math.isfinite(v) and (v > 0 or not log)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dash = " dashed" if one.dashed else ""
        parts.append(f'<polyline class="line s{n % COLOURS}{dash}" points="{path}"><title>{escape(one.name)}</title>'
                     "</polyline>")
        if len(points) == 1:
            parts.append(f'<circle class="fill s{n % COLOURS}" cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="3"/>')
    return "".join(parts) + "</svg>" + _legend([s.name for s in series])


@dataclass(frozen=True)
class Block:
    """A tensor in the arena: bytes [offset, offset + size) during the schedule steps first..last (both included)."""

    name: str
    offset: int
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class Arena:
    """A memory plan: blocks in an arena of `size` bytes over the schedule's `steps` (their labels)."""

    title: str
    blocks: Sequence[Block]
    steps: Sequence[str]
    size: int


def arena(plan: Arena, width: int = 720, height: int = 320) -> str:
    """The memory plan: one rectangle per tensor, schedule steps to the right, bytes upwards."""
    if not plan.blocks or not plan.steps or plan.size <= 0:
        return ""
    parts = [opened(width, height, "memory plan: bytes of the arena over the schedule"),
             *_arena(plan, plan.size, width, height),
             f'<text class="tick" x="{(LEFT + width) / 2:.0f}" y="{height - 3}" text-anchor="middle">schedule step</text>']
    return "".join(parts) + "</svg>"


def arenas(plans: Sequence[Arena], columns: int = 2, width: int = 720, height: int = 210) -> str:
    """Several memory plans to one scale, so that what is smaller looks smaller; the title above each."""
    plans = [plan for plan in plans if plan.blocks and plan.steps and plan.size > 0]
    if not plans:
        return ""
    top, each, head = max(plan.size for plan in plans), width // columns, 18
    rows = -(-len(plans) // columns)
    parts = [opened(width, rows * (height + head), "memory plan at each stage of compilation")]
    for n, plan in enumerate(plans):
        parts += [f'<g transform="translate({n % columns * each},{n // columns * (height + head)})">',
                  f'<text class="title" x="{LEFT}" y="{head - 4}">{escape(plan.title)}</text>',
                  f'<g transform="translate(0,{head})">', *_arena(plan, top, each, height), "</g></g>"]
    return "".join(parts) + "</svg>"


def _arena(plan: Arena, top: int, width: int, height: int) -> list[str]:
    """Marks of one plan; the scale reaches to `top` bytes."""
    step_width = (width - LEFT - RIGHT) / len(plan.steps)
    scale = (height - TOP - BOTTOM) / top
    base = height - BOTTOM
    parts = []
    labels = []     # above all rectangles
    for tick in _ticks(0, top):
        if tick <= top:
            y = base - tick * scale
            parts.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{width - RIGHT}" y2="{y:.1f}"/>'
                         f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:,.0f}</text>')
    for n, block in enumerate(plan.blocks):
        x, y = LEFT + block.first * step_width, base - (block.offset + block.size) * scale
        w, h = (block.last - block.first + 1) * step_width, max(block.size * scale, 1.0)
        what = f"{block.name}: {block.size:,} bytes at {block.offset:,}, steps {block.first} to {block.last}"
        parts.append(f'<rect class="fill block s{n % COLOURS}" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" '
                     f'height="{h:.1f}"><title>{escape(what)}</title></rect>')
        if h > 15 and w > 7.0 * len(str(block.size)) + 6:
            labels.append(f'<text class="label" x="{x + w / 2:.1f}" y="{y + h / 2 + 4:.1f}" '
                          f'text-anchor="middle">{block.size}</text>')
    parts += labels
    for i in _index_ticks(len(plan.steps), most=(width - LEFT) // 28):
        parts.append(f'<text class="tick" x="{LEFT + (i + 0.5) * step_width:.1f}" y="{base + 16}" '
                     f'text-anchor="middle">{i}<title>{escape(plan.steps[i])}</title></text>')
    return parts


def bars(rows: Sequence[tuple[str, Sequence[float]]], names: Sequence[str], same_scale: bool = False,
         width: int = 720) -> str:
    """Horizontal bars: each row has one bar for each of `names`, each name scaled to its own largest value, or, with
    `same_scale`, all to the largest of all."""
    if not rows:
        return ""
    largest = [max((values[k] for _, values in rows), default=0) or 1 for k in range(len(names))]
    if same_scale:
        largest = [max(largest)] * len(names)
    bar, gap, text = 13, 7, 190
    row_height = bar * len(names) + gap
    room = width - text - 90
    parts = [opened(width, row_height * len(rows) + gap, " and ".join(names))]
    for r, (label, values) in enumerate(rows):
        top = gap + r * row_height
        shown = label if len(label) <= 27 else label[:26] + "…"
        parts.append(f'<text class="tick" x="{text - 6}" y="{top + row_height / 2 + 1:.1f}" text-anchor="end">'
                     f"{escape(shown)}<title>{escape(label)}</title></text>")
        for k, value in enumerate(values):
            y, length = top + k * bar, max(room * value / largest[k], 1.0)
            parts.append(f'<rect class="fill s{k}" x="{text}" y="{y}" width="{length:.1f}" height="{bar - 2}">'
                         f"<title>{escape(label)}: {value:,.0f} {escape(names[k])}</title></rect>"
                         f'<text class="tick" x="{text + length + 5:.1f}" y="{y + bar - 3}">{value:,.0f}</text>')
    return "".join(parts) + "</svg>" + _legend(names)


def stacked(rows: Sequence[tuple[str, Sequence[float]]], names: Sequence[str], unit: str, width: int = 720) -> str:
    """Horizontal bars, each cut into the parts `names`; all to the scale of the longest."""
    longest = max((sum(values) for _, values in rows), default=0)
    if longest <= 0:
        return ""
    bar, gap, text = 16, 6, 190
    room = width - text - 90
    parts = [opened(width, (bar + gap) * len(rows) + gap, f"{unit}: {', '.join(names)}")]
    for r, (label, values) in enumerate(rows):
        x, y = float(text), gap + r * (bar + gap)
        shown = label if len(label) <= 27 else label[:26] + "…"
        parts.append(f'<text class="tick" x="{text - 6}" y="{y + bar - 4}" text-anchor="end">{escape(shown)}'
                     f"<title>{escape(label)}</title></text>")
        for k, value in enumerate(values):
            length = room * value / longest
            if length > 0:
                parts.append(f'<rect class="fill s{k % COLOURS}" x="{x:.1f}" y="{y}" width="{length:.1f}" height="{bar}">'
                             f"<title>{escape(label)}: {_short(value)} {escape(names[k])}, {escape(unit)}</title></rect>")
            x += length
        parts.append(f'<text class="tick" x="{x + 5:.1f}" y="{y + bar - 4}">{_short(sum(values))}</text>')
    return "".join(parts) + "</svg>" + _legend(names)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def opened(width: int, height: int, label: str) -> str:
    return (f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}" '
            f'style="max-width:{int(width * 1.25)}px">')


def _legend(names: Sequence[str]) -> str:
    keys = "".join(f'<span class="key"><i class="swatch s{n % COLOURS}"></i>{escape(name)}</span>'
                   for n, name in enumerate(names))
    return f'<p class="legend">{keys}</p>'


def _ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers (1, 2, 5 times a power of ten) that enclose [low, high]."""
    span = (high - low) or abs(high) or 1.0
    unit = 10.0 ** math.floor(math.log10(span / about))
    step = next(unit * m for m in (1, 2, 5, 10) if span / (unit * m) <= about)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(i * step, 12) for i in range(first, max(last, first + 1) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5 times powers of ten that enclose [low, high]."""
    grid = [m * 10.0**e for e in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
            for m in (1, 2, 5)]      # one decade more: a logarithm may be rounded up
    first = max(i for i, tick in enumerate(grid) if tick <= low)
    last = next((i for i, tick in enumerate(grid) if tick >= high), len(grid) - 1)
    return grid[first:max(last, first + 1) + 1]


def _index_ticks(count: int, most: int = 8) -> range:
    return range(0, count, max(1, math.ceil(count / most)))
