# SPDX-License-Identifier: Apache-2.0
"""What to build with: ``python -m tests.bench.structure --paper repnas``. One file each: structure_*.py.

An experiment is a module with measure(folder, seeds, quick, stop) -> JSON and report(what it measured) -> (Markdown,
{file: SVG or PNG}). It keeps what is finished under build/bench-structure/ and goes on from there; `stop` is called each
epoch and raises TimeUp. The report is docs/results/structure-<paper>.json, .md and pictures; a quick one's is in the folder.
"""
from __future__ import annotations

import argparse
import json
from importlib import import_module

from tests.bench.kept import FAILED, TimeUp, deadline, said
from tests.bench.measure import RESULTS, ROOT, environment

FOLDER = ROOT / "build" / "bench-structure"
PAPERS = ("repnas", "ran", "ran_implicit", "lana", "ghost", "blockbench")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--paper", required=True, choices=PAPERS)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=1e9, help="stop at the end of the epoch that passes this")
    parser.add_argument("--quick", action="store_true", help="seconds per arm: shows that all of it runs")
    asked = parser.parse_args()
    module, stop = import_module(f"tests.bench.structure_{asked.paper}"), deadline(asked.minutes)
    folder = FOLDER / asked.paper / ("quick" if asked.quick else "full")
    folder.mkdir(parents=True, exist_ok=True)

    try:
        found = module.measure(folder, asked.seeds, asked.quick, stop)
    except TimeUp:
        print("time is up; start again to go on", flush=True)
        return
    text, pictures = module.report(found)
    target, name = folder if asked.quick else RESULTS, f"structure-{asked.paper.replace('_', '-')}"
    target.mkdir(parents=True, exist_ok=True)
    for file, picture in pictures.items():
        (target / file).write_bytes(picture if isinstance(picture, bytes) else picture.encode())
    failures = [json.loads(path.read_text()) for path in sorted(folder.glob(f"*/{FAILED}"))]
    text = "\n".join([text, *said(failures)])
    (target / f"{name}.md").write_text(text)
    saved = {"environment": environment(), "failures": failures, **found}
    (target / f"{name}.json").write_text(json.dumps(saved, indent=1) + "\n")
    print(text)


if __name__ == "__main__":
    main()
