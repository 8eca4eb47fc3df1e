# SPDX-License-Identifier: Apache-2.0
"""A run to one HTML page: numbers to words and pictures here, the layout in ``page.html.j2``."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from mcunas.report import charts, curves, network
from mcunas.tasks import units


def render(run: Mapping[str, Any]) -> str:
    """The page as text. `run` is described in mcunas.report."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["quantity"] = quantity
    environment.filters["figure"] = figure
    environment.filters["percent"] = lambda share: "–" if share is None else f"{100 * share:.2f}\u00a0%"
    environment.filters["measured"] = lambda value, metric: figure({"value": value, "unit": units.unit_of(metric)})
    template = environment.from_string(files("mcunas.report").joinpath("page.html.j2").read_text(encoding="utf-8"))
    sections = ("board", "model", "verdict", "quantities", "accuracy", "match", "widths", "choices", "layers", "profile",
                "boards", "metrics", "environment", "commands")
    own = {"title": run["title"], "metric": units.axis(metric_of(run))[1]}
    return template.render({key: run.get(key) for key in sections} | own | _pictures(run))


def metric_of(run: Mapping[str, Any]) -> str:
    """What the run's task measures."""
    return (run.get("accuracy") or {}).get("metric", "accuracy")


def quantity(value: float | None, unit: str) -> str:
    """A number with its unit as a person reads it; an en dash for what is not known."""
    if value is None:
        return "–"
    if unit == "bytes":
        return f"{value:,.0f}\u00a0B" if value < 1024 else f"{value:,.0f}\u00a0B ({value / 1024:,.1f}\u00a0KiB)"
    if unit == "us":
        return f"{value / 1000:,.2f}\u00a0ms"
    return f"{value:,.0f} {unit}".rstrip()


def figure(row: Mapping[str, Any]) -> str:
    """The value of a figure of merit (mcunas.report.metrics)."""
    if row["unit"] == "share" and row["value"] is not None:
        return f"{100 * row['value']:.2f}\u00a0%"
    if row["unit"] == "dB" and row["value"] is not None:
        return f"{row['value']:.2f}\u00a0dB"
    return quantity(row["value"], row["unit"])


def _pictures(run: Mapping[str, Any]) -> dict[str, str]:
    from markupsafe import Markup  # charts escape what they print, so their text is markup already

    pictures = {
        "use_chart": _use(run.get("history") or [], run.get("budget") or {}),
        "accuracy_chart": _learning(run.get("history") or [], metric_of(run)),
        "tradeoff_chart": _tradeoff(run.get("history") or [], run.get("budget") or {}, metric_of(run)),
        "candidate_chart": _candidates(run.get("candidates") or [], run.get("budget") or {}, metric_of(run)),
        "network_chart": network.drawn(run.get("network") or []),
        "width_chart": charts.bars([(w["name"], (w["before"], w["after"])) for w in run.get("widths") or []],
                                   ("channels before", "channels after"), same_scale=True),
        "arena_chart": charts.arena(_arena(run.get("plan") or {})),
        "stage_chart": charts.arenas([_arena(stage) for stage in run.get("stages") or []]),
        "layer_chart": _layers(run.get("layers") or []),
        "layer_mix_chart": _layer_mix(run.get("profile") or {}),
        "kernel_mix_chart": _kernel_mix(run.get("profile") or {}),
    }
    return {name: Markup(svg) for name, svg in pictures.items()}


def _use(history: Sequence[Mapping[str, Any]], budget: Mapping[str, float | None]) -> str:
    """Each resource as a multiple of its budget, per epoch; 1 is the limit."""
    series = []
    for key, name in (("ram_bytes", "RAM"), ("flash_bytes", "flash"), ("latency_us", "latency")):
        limit = budget.get(key)
        if limit and any(entry.get(key) for entry in history):
            series.append(charts.Series(name, [entry[key] / limit if entry.get(key) else None for entry in history]))
    if not series:
        return ""
    series.append(charts.Series("budget", [1.0] * len(history), dashed=True))
    return charts.lines(series, "epoch", "use / budget", log=True)


def _learning(history: Sequence[Mapping[str, Any]], metric: str) -> str:
    if not any(entry.get("validation") is not None for entry in history):
        return ""
    factor, words = units.axis(metric)
    values = [None if entry.get("validation") is None else factor * entry["validation"] for entry in history]
    return charts.lines([charts.Series(f"{words}, on the validation split", values)], "epoch", words)


def _tradeoff(history: Sequence[Mapping[str, Any]], budget: Mapping[str, float | None], metric: str) -> str:
    """The metric after each epoch over what the network took in it, while it shrinks."""
    found, (factor, words) = [], units.axis(metric)
    for key, name in (("ram_bytes", "RAM"), ("flash_bytes", "flash"), ("latency_us", "latency")):
        points = [(entry[key] / budget[key], factor * entry["validation"]) for entry in history
                  if budget.get(key) and entry.get(key) and entry.get("validation") is not None]
        if points:
            found.append(curves.Curve(name, points))
    return curves.curves(found, "use / budget", words, mark=1.0)


def _candidates(found: Sequence[Mapping[str, float]], budget: Mapping[str, float | None], metric: str) -> str:
    """Every network that was evaluated, by each resource; those that none beats in both are joined."""
    shown, (factor, words) = [], units.axis(metric)
    for key, name in (("ram_bytes", "RAM"), ("flash_bytes", "flash"), ("latency_us", "latency")):
        points = sorted((one[key] / budget[key], factor * one["accuracy"]) for one in found
                        if budget.get(key) and one.get(key))
        front = [(x, y) for k, (x, y) in enumerate(points) if all(y > other for _, other in points[:k])]
        if points:
            shown.append(curves.Curve(name, front, points))
    return curves.curves(shown, "use / budget", words, mark=1.0)


def _arena(plan: Mapping[str, Any]) -> charts.Arena:
    blocks = [charts.Block(t["name"], t["offset"], t["bytes"], t["first"], t["last"]) for t in plan.get("tensors", ())]
    size = plan.get("arena_bytes", 0)
    return charts.Arena(f"{plan.get('what', '')}: {size:,} B", blocks, plan.get("steps", ()), size)


def _layers(layers: Sequence[Mapping[str, Any]]) -> str:
    columns = [("macs", "MACs"), ("cycles", "cycles (model)"), ("flash_bytes", "flash bytes")]
    present = [(key, name) for key, name in columns if any(layer.get(key) for layer in layers)]
    rows = [(f"{i} {layer['kind']}", [layer.get(key) or 0 for key, _ in present]) for i, layer in enumerate(layers)]
    return charts.bars(rows, [name for _, name in present]) if present else ""


def _layer_mix(profile: Mapping[str, Any]) -> str:
    rows = [(f"{one['index']} {one['kind']}", list(one["mix"].values())) for one in profile.get("layers", ())]
    return charts.stacked(rows, list(profile["total"]["mix"]), "instructions") if rows else ""


def _kernel_mix(profile: Mapping[str, Any]) -> str:
    rows = [(name, [count / one["macs"] for count in one["mix"].values()])
            for name, one in profile.get("kernels", {}).items() if one["macs"]]
    return charts.stacked(rows, list(profile["total"]["mix"]), "instructions per MAC") if rows else ""
