# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser: it shows every picture, fits the width of a phone, and the console stays empty."""
from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mcunas.report import write_report
from tests.report.runs import RUN

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
PHONE, DESK = 390, 1100
# Into a copy of the page: what it looks like, as its title.
MEASURE = """<script>addEventListener('load', () => { document.title = JSON.stringify({
  wide: document.documentElement.scrollWidth, shown: innerWidth,
  pictures: [...document.querySelectorAll('svg')].map(s => [s.getAttribute('aria-label'), s.getBoundingClientRect().width]),
  small: Math.min(...[...document.querySelectorAll('p, td, th, li')].map(e => parseFloat(getComputedStyle(e).fontSize)))
}) })</script>"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no chromium (Debian's package) on this machine")


def _opened(page: Path, width: int) -> tuple[dict, str]:
    """What the page measures in a window of that width, and what the browser said."""
    copy = page.with_name("measured.html")
    copy.write_text(page.read_text().replace("</head>", f"{MEASURE}</head>"))
    # A window is at least 500 wide; a device is emulated in a frame of the width that is asked for.
    frame = page.with_name("frame.html")
    frame.write_text(f'<iframe src="measured.html" width="{width}" height="4000" style="border:0"></iframe>'
                     "<script>addEventListener('load', () => setTimeout(() => { document.title = "
                     "frames[0].document.title }, 50))</script>")
    found = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--enable-logging=stderr",
         f"--user-data-dir={page.parent / 'profile'}", "--virtual-time-budget=3000", "--window-size=1400,900", "--dump-dom",
         frame.as_uri()], capture_output=True, text=True, timeout=300)
    title = re.search(r"<title>(.*?)</title>", found.stdout)
    assert title, found.stderr[-2000:]
    return json.loads(title[1].replace("&quot;", '"').replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")), (
        found.stderr)


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_the_page_is_readable_in_a_browser(tmp_path: Path, width: int) -> None:
    seen, said = _opened(write_report(RUN, tmp_path), width)
    assert seen["shown"] == width and seen["wide"] <= width, f"scrolls sideways: {seen}"
    assert len(seen["pictures"]) >= 10 and all(label and wide > 200 for label, wide in seen["pictures"])
    assert seen["small"] >= 12, "text too small to read"
    assert "CONSOLE" not in said and "net::ERR" not in said
