# SPDX-License-Identifier: Apache-2.0
"""report.json holds the run, report.html shows it without a network, and a foreign file is refused in one line."""
from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mcunas.errors import InputError
from mcunas.report import read_report, write_report
from tests.report.runs import RUN


class Page(HTMLParser):
    """Collects what a browser would load, and which pictures there are."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.pictures: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.loads += [v for k, v in attrs if k in ("src", "href") and not str(v).startswith("data:")]
        if tag == "script":
            self.loads.append("script")
        if tag == "svg":
            self.pictures.append(found["aria-label"])


def test_the_page_is_self_contained_and_has_every_picture(tmp_path: Path) -> None:
    text = write_report(RUN, tmp_path).read_text()
    page = Page(text)
    assert page.loads == [] and "url(" not in text and "@import" not in text
    assert len(page.pictures) == 10
    assert "digits &lt;b&gt; on mps2-an386" in text and "<b>" not in text
    assert "<td>s0_0</td><td>ds3&lt;</td><td>ds3&lt;, skip</td>" in text


def test_what_exceeds_its_budget_is_marked(tmp_path: Path) -> None:
    text = write_report(RUN, tmp_path).read_text()
    assert text.count('<td class="bad">') == 2
    assert '<td class="bad">1.50\u00a0ms' in text


def test_a_run_with_a_title_only_is_a_page(tmp_path: Path) -> None:
    page = Page(write_report({"title": "empty"}, tmp_path).read_text())
    assert page.pictures == []


def test_json_comes_back_as_it_went(tmp_path: Path) -> None:
    write_report(RUN, tmp_path)
    assert read_report(tmp_path) == json.loads(json.dumps(RUN))


def test_nothing_is_written_when_a_number_is_not_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_report({**RUN, "layers": [{**RUN["layers"][0], "macs": float("nan")}]}, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, "{", "[]", '{"a": 1}'])
def test_a_foreign_file_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "report.json").write_text(content)
    with pytest.raises(InputError, match=r"report\.json"):
        read_report(tmp_path)
