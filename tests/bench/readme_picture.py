# SPDX-License-Identifier: Apache-2.0
"""The picture of README.md, from docs/results/: TFLM's RAM, flash and instructions over ours, on the MLPerf Tiny models."""
from __future__ import annotations

from html import escape

from tests.bench import peers
from tests.bench.measure import MODELS

WIDTH, HEIGHT, LEFT, TOP, BASE = 760, 250, 44, 40, 204
STYLE = ("text{font:12px system-ui,sans-serif;fill:#5d6670}.head{font-weight:600;fill:#1c2127}.grid{stroke:#d9dee3}"
         ".one{stroke:#c62a2f;stroke-dasharray:5 4}.a{fill:#2f6fde}.b{fill:#e07b1a}.c{fill:#2a9d6e}"
         "@media(prefers-color-scheme:dark){text{fill:#9aa4ae}.head{fill:#e6e9ec}.grid{stroke:#343b42}}")


def drawn(rows: list[dict]) -> str:
    """rows: of memory.json. Bars say how many times as much TFLM with CMSIS-NN takes, on the Cortex-M4."""
    ours = {(r["model"], r["optimize"]): r for r in rows}
    balanced = {m: ours[m, "balanced"] for m in MODELS}
    groups = {"RAM": [peers.ARENA_BYTES[m] / r["arena_bytes"] for m, r in balanced.items()],
              "image beside the weights": [peers.FLASH_BYTES[m] / r["overhead_bytes"] for m, r in balanced.items()],
              "instructions": [peers.INSTRUCTIONS["mps2-an386"][m] / r["instructions"] for m, r in balanced.items()]}
    most = max(v for values in groups.values() for v in values)
    scale, each = (BASE - TOP) / most, (WIDTH - LEFT) / len(groups)
    bar = (each - 40) / len(MODELS)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="how many times '
             f'as much TFLM takes"><style>{STYLE}</style>'
             '<text class="head" x="8" y="18">How many times as much TFLM with CMSIS-NN takes as mcunas: same model, same '
             "output bytes, Cortex-M4</text>"]
    for tick in range(1, int(most) + 1):
        y, kind = BASE - tick * scale, "one" if tick == 1 else "grid"
        parts.append(f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}"/>'
                     f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick}×</text>')
    for g, ((name, values), colour) in enumerate(zip(groups.items(), "abc")):
        x = LEFT + 16 + g * each
        parts.append(f'<text class="head" x="{x + (each - 40) / 2:.1f}" y="{HEIGHT - 10}" text-anchor="middle">'
                     f"{escape(name)}</text>")
        for k, (model, value) in enumerate(zip(MODELS, values)):
            left, top = x + k * bar, BASE - value * scale
            middle = f'x="{left + bar / 2:.1f}" text-anchor="middle"'
            parts.append(f'<rect class="{colour}" x="{left + 3:.1f}" y="{top:.1f}" width="{bar - 6:.1f}" '
                         f'height="{BASE - top:.1f}"/><text {middle} y="{top - 4:.1f}">{value:.1f}</text>'
                         f'<text {middle} y="{BASE + 15}">{model}</text>')
    return "".join(parts) + "</svg>\n"
