# SPDX-License-Identifier: Apache-2.0
"""The command line of benches that hold one experiment a file: asktell.py, structure.py, quant.py.

An experiment is a module with measure(folder, seeds, quick, stop) -> JSON and report(what it measured) -> (Markdown,
{file: picture}). It keeps what is finished under build/bench-<family>/<paper>/ and goes on from there; `stop` is called each
epoch and raises TimeUp. The report is docs/results/<family>-<paper>.json, .md and pictures; a quick one's is in the folder.
One that has kept(folder, seeds) -> JSON is reported on when its time is up, too. Arms that ended in an error are listed.
"""
from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from importlib import import_module

from mcunas.atomic import write_file
from tests.bench.kept import FAILED, TimeUp, deadline, said
from tests.bench.measure import RESULTS, ROOT, environment


def main(family: str, papers: Sequence[str], about: str) -> None:
    """family: of the modules tests.bench.<family>_<paper>. about: for --help."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--paper", required=True, choices=papers)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2], help="of what is trained; tables have their own")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop at the end of the epoch that passes this")
    parser.add_argument("--quick", action="store_true", help="seconds per arm: shows that all of it runs")
    asked = parser.parse_args()
    module, stop = import_module(f"tests.bench.{family}_{asked.paper}"), deadline(asked.minutes)
    folder = ROOT / "build" / f"bench-{family}" / asked.paper / ("quick" if asked.quick else "full")
    folder.mkdir(parents=True, exist_ok=True)

    try:
        found = module.measure(folder, asked.seeds, asked.quick, stop)
    except TimeUp:
        print("time is up; start again to go on", flush=True)
        if not hasattr(module, "kept"):
            return
        found = module.kept(folder, asked.seeds)
    text, pictures = module.report(found)
    target, name = folder if asked.quick else RESULTS, f"{family}-{asked.paper.replace('_', '-')}"
    target.mkdir(parents=True, exist_ok=True)
    for file, picture in pictures.items():
        write_file(target / file, picture)
    failures = [json.loads(path.read_text()) for path in sorted(folder.glob(f"*/{FAILED}"))]
    text = "\n".join([text, *said(failures)])
    write_file(target / f"{name}.md", text)
    write_file(target / f"{name}.json",
               json.dumps({"environment": environment(), "failures": failures, **found}, indent=1) + "\n")
    print(text)
