# SPDX-License-Identifier: Apache-2.0
"""Runs the targets one after another: python -m tests.fuzz.run [TARGET...] [--seconds 10 | --runs 200000] [--keep].

Corpora grow in build/fuzz/<target>, what crashes lies beside them as crash-*. Ends with status 1 where anything did.
--keep adds the counts to docs/results/fuzz.json.
"""
from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mcunas.atomic import write_file

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results" / "fuzz.json"
TARGETS = ("genotype", "board", "link", "tflite", "commands", "graphs")
GRAPH_COST = 10_000     # executions of another target in the time of a network's
RSS_MIB, SLOW_S = 2048, 20


def corpus_of(name: str, folder: Path) -> Path:
    """Seeds, written anew, beside what was found before."""
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(import_module(f"tests.fuzz.{name}").seeds()):
        (corpus / f"seed{number}").write_bytes(data)
    return corpus


def run(name: str, seconds: int, runs: int | None, folder: Path) -> dict[str, Any]:
    """One target: executions, seconds, edges of the code under test reached, and the inputs that crashed it."""
    target, started = import_module(f"tests.fuzz.{name}"), time.monotonic()
    if name == "graphs":
        folder.mkdir(parents=True, exist_ok=True)
        executed, found = target.explore(folder, seconds, runs and -(-runs // GRAPH_COST))
        return {"executions": executed, "seconds": round(time.monotonic() - started, 1), "edges": 0, "peak_rss_mib": None,
                "found": found}
    corpus, limit = corpus_of(name, folder), f"-runs={runs}" if runs else f"-max_total_time={seconds}"
    words = folder / "words"
    words.write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in target.WORDS))
    program = [str(target.build(folder))] if name == "commands" else [sys.executable, "-m", "tests.fuzz.child", name]
    before = set(folder.glob("*-*"))
    done = subprocess.run([*program, str(corpus), f"-dict={words}", f"-max_len={target.BYTES}", f"-rss_limit_mb={RSS_MIB}",
                           f"-timeout={SLOW_S}", f"-artifact_prefix={folder}/", "-print_final_stats=1", limit],
                          cwd=ROOT, capture_output=True, text=True, errors="replace",
                          env={**os.environ, "PYTHONPATH": str(ROOT), "ASAN_OPTIONS": "detect_leaks=0"})
    (folder / "log").write_text(done.stdout + done.stderr)
    found = sorted(path.name for path in set(folder.glob("*-*")) - before if path.name.split("-")[0] in (
        "crash", "timeout", "oom", "slow"))
    if done.returncode and not found:
        raise SystemExit(f"{name}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    counted = re.findall(r"stat::number_of_executed_units:\s*(\d+)|^#(\d+)\s", done.stderr, re.MULTILINE)
    edges = re.findall(r" cov: (\d+)", done.stderr)
    peak = re.findall(r"stat::peak_rss_mb:\s*(\d+)", done.stderr)
    return {"executions": int("".join(counted[-1])) if counted else 0, "seconds": round(time.monotonic() - started, 1),
            "edges": int(edges[-1]) if edges else 0, "peak_rss_mib": int(peak[-1]) if peak else None, "found": found}


def keep(name: str, result: dict[str, Any], path: Path = RESULTS) -> None:
    """Add a run to the counts."""
    kept = json.loads(path.read_text()) if path.exists() else {"targets": {}}
    one = kept["targets"].setdefault(name, {"executions": 0, "seconds": 0.0, "edges": 0, "crashes": 0})
    one["executions"] += result["executions"]
    one["seconds"] = round(one["seconds"] + result["seconds"], 1)
    one["edges"], one["crashes"] = max(one["edges"], result["edges"]), one["crashes"] + len(result["found"])
    kept["executions"] = sum(each["executions"] for each in kept["targets"].values())
    kept["engine"] = {"python": platform.python_version(), "atheris": version("atheris"), "commands": "libFuzzer of clang"}
    write_file(path, json.dumps(kept, indent=1, sort_keys=True) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help=f"of {', '.join(TARGETS)}; all if left out")
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument("--seconds", type=int, default=10, help="of each target")
    limit.add_argument("--runs", type=int, help="of each target")
    parser.add_argument("--keep", action="store_true", help="add the counts to docs/results/fuzz.json")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "fuzz")
    asked = parser.parse_args()
    crashed = False
    for name in asked.targets or TARGETS:
        result = run(name, asked.seconds, asked.runs, asked.out / name)
        crashed |= bool(result["found"])
        if asked.keep:
            keep(name, result)
        print(f"{name}: {result['executions']:,} executions in {result['seconds']:g} s, {result['edges']} edges; "
              f"{', '.join(result['found']) or 'nothing found'}", flush=True)
    raise SystemExit(int(crashed))


if __name__ == "__main__":
    main()
