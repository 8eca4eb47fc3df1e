# SPDX-License-Identifier: Apache-2.0
"""Searches that ask and tell: ``python -m tests.bench.asktell --paper trade``. One file each: asktell_*.py.

An experiment is a module with measure(folder, seeds, quick, stop) -> JSON and report(what it measured) -> (Markdown,
{file: SVG}). It keeps what is finished under build/bench-asktell/ and goes on from there; `stop` raises TimeUp. The report
is docs/results/asktell-<paper>.json, .md, .svg; a quick one's is in the folder.
"""
from __future__ import annotations

import argparse
import json
from importlib import import_module

from mcunas.atomic import write_file
from tests.bench.kept import TimeUp, deadline
from tests.bench.measure import RESULTS, ROOT, environment

FOLDER = ROOT / "build" / "bench-asktell"
PAPERS = ("mnas", "trade", "cluster", "nsga2", "adapt")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--paper", required=True, choices=PAPERS)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2], help="of what is trained; tables have their own")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop at the end of the epoch that passes this")
    parser.add_argument("--quick", action="store_true", help="seconds per arm: shows that all of it runs")
    asked = parser.parse_args()
    module, stop = import_module(f"tests.bench.asktell_{asked.paper}"), deadline(asked.minutes)
    folder = FOLDER / asked.paper / ("quick" if asked.quick else "full")
    folder.mkdir(parents=True, exist_ok=True)

    try:
        found = module.measure(folder, asked.seeds, asked.quick, stop)
    except TimeUp:
        print("time is up; start again to go on", flush=True)
        return
    text, pictures = module.report(found)
    target, name = folder if asked.quick else RESULTS, f"asktell-{asked.paper}"
    for file, picture in pictures.items():
        write_file(target / file, picture)
    write_file(target / f"{name}.md", text)
    write_file(target / f"{name}.json", json.dumps({"environment": environment(), **found}, indent=1) + "\n")
    print(text)


if __name__ == "__main__":
    main()
