# SPDX-License-Identifier: Apache-2.0
"""How many bits: ``python -m tests.bench.quant --paper mixed``. One file each: quant_*.py, run as tests/bench/structure.py
runs its own. What is finished is kept under build/bench-quant/; the report is docs/results/quant-<paper>.*.
"""
from __future__ import annotations

import argparse
import json
from importlib import import_module

from tests.bench.kept import TimeUp, deadline
from tests.bench.measure import RESULTS, ROOT, environment

FOLDER = ROOT / "build" / "bench-quant"
PAPERS = ("mixed", "study")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--paper", required=True, choices=PAPERS)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=1e9, help="stop at the end of the epoch that passes this")
    parser.add_argument("--quick", action="store_true", help="seconds per arm: shows that all of it runs")
    asked = parser.parse_args()
    module, stop = import_module(f"tests.bench.quant_{asked.paper}"), deadline(asked.minutes)
    folder = FOLDER / asked.paper / ("quick" if asked.quick else "full")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        module.measure(folder, asked.seeds, asked.quick, stop)
    except TimeUp:
        print("time is up; start again to go on", flush=True)
    found = module.kept(folder, asked.seeds)
    text, pictures = module.report(found)
    target, name = folder if asked.quick else RESULTS, f"quant-{asked.paper}"
    target.mkdir(parents=True, exist_ok=True)
    for file, picture in pictures.items():
        (target / file).write_text(picture)
    (target / f"{name}.md").write_text(text)
    (target / f"{name}.json").write_text(json.dumps({"environment": environment(), **found}, indent=1) + "\n")
    print(text)


if __name__ == "__main__":
    main()
