# SPDX-License-Identifier: Apache-2.0
"""Curves stay inside their picture, and a search's history becomes accuracy over resource use."""
from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from hypothesis import given
from hypothesis import strategies as st

from mcunas.report.curves import Curve, curves
from mcunas.report.page import render

POINTS = st.lists(st.tuples(st.floats(1e-3, 1e6), st.floats(0, 100)), min_size=1, max_size=20)


@given(POINTS)
def test_points_stay_inside_the_picture(points: list[tuple[float, float]]) -> None:
    drawn = ElementTree.fromstring(f"<div>{curves([Curve('<a>', points)], 'x', 'y', mark=1.0)}</div>").find("svg")
    for pair in drawn.find("polyline").get("points").split():
        x, y = map(float, pair.split(","))
        assert 0 <= x <= 460 and 0 <= y <= 250


def test_a_report_shows_accuracy_over_use() -> None:
    history = [{"phase": "prune", "loss": 1.0, "validation": v, "ram_bytes": r} for v, r in ((0.5, 4000), (0.75, 2000))]
    page = render({"title": "t", "history": history, "budget": {"ram_bytes": 1000}})
    assert page.count("while the network shrinks") == 1
    assert "while the network shrinks" not in render({"title": "t", "history": history})
