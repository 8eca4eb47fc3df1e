# SPDX-License-Identifier: Apache-2.0
"""Charts are well-formed, escape what they print, and stay inside their picture for any numbers."""
from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from hypothesis import given
from hypothesis import strategies as st

from mcunas.report import charts

NUMBERS = st.floats(1e-6, 1e12)


def drawing(markup: str) -> ElementTree.Element:
    return ElementTree.fromstring(f"<div>{markup}</div>").find("svg")


@given(st.lists(st.one_of(st.none(), NUMBERS), min_size=1, max_size=30), st.booleans())
def test_lines_stay_inside_the_picture(values: list[float | None], log: bool) -> None:
    markup = charts.lines([charts.Series("a", values)], "epoch", "value", log=log, width=460, height=250)
    if all(v is None for v in values):
        assert markup == ""
        return
    for pair in drawing(markup).find("polyline").get("points").split():
        x, y = map(float, pair.split(","))
        assert 0 <= x <= 460 and 0 <= y <= 250


def test_names_are_escaped() -> None:
    nasty = "<script>alert(1)</script>&\""
    plan = charts.Arena(nasty, [charts.Block(nasty, 0, 8, 0, 0)], [nasty], 8)
    markup = (charts.lines([charts.Series(nasty, [1.0, 2.0])], nasty, nasty)
              + charts.bars([(nasty, (1.0,))], [nasty]) + charts.arena(plan) + charts.arenas([plan, plan]))
    assert "<script" not in markup
    ElementTree.fromstring(f"<div>{markup}</div>")


def test_a_tensor_is_drawn_at_its_bytes_and_steps() -> None:
    blocks = [charts.Block("low", 0, 50, 0, 0), charts.Block("high", 50, 50, 0, 1)]
    markup = charts.arena(charts.Arena("", blocks, ["a", "b"], 100))
    low, high = ({k: float(r.get(k)) for k in ("x", "y", "width", "height")} for r in drawing(markup).iter("rect"))
    assert high["y"] + high["height"] == low["y"] and high["height"] == low["height"]
    assert high["x"] == low["x"] and high["width"] == 2 * low["width"]


def test_bars_are_as_long_as_their_values() -> None:
    markup = charts.bars([("a", (100.0, 7.0)), ("b", (50.0, 14.0))], ["macs", "bytes"])
    widths = [float(width) for width in re.findall(r'<rect [^>]*width="([0-9.]+)"', markup)]
    assert widths[0] == 2 * widths[2] and widths[3] == 2 * widths[1]


def test_nothing_to_draw_is_an_empty_string() -> None:
    empty = charts.Arena("", [], [], 0)
    assert charts.lines([], "x", "y") == charts.arena(empty) == charts.arenas([empty]) == charts.bars([], []) == ""


def test_plans_beside_each_other_are_drawn_to_one_scale() -> None:
    plans = [charts.Arena(f"plan {size}", [charts.Block("x", 0, size, 0, 0)], ["a"], size) for size in (100, 25)]
    large, small = (float(r.get("height")) for r in ElementTree.fromstring(charts.arenas(plans)).iter("rect"))
    assert abs(large - 4 * small) < 0.2


@given(st.lists(st.lists(st.one_of(st.just(0.0), NUMBERS), min_size=3, max_size=3), min_size=1, max_size=20))
def test_stacked_parts_follow_one_another_inside_the_picture(rows: list[list[float]]) -> None:
    markup = charts.stacked([(f"<{i}>", row) for i, row in enumerate(rows)], ["a", "b", "c"], "instructions")
    if not any(sum(row) for row in rows):
        assert markup == ""
        return
    ends: dict[str, float] = {}
    for rect in drawing(markup).findall("rect"):
        y, x, width = rect.get("y"), float(rect.get("x")), float(rect.get("width"))
        assert x >= ends.get(y, 190) - 0.15 and x + width <= 720 - 89
        ends[y] = x + width
