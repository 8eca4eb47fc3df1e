# SPDX-License-Identifier: Apache-2.0
"""Mutation testing of the planner and of the quantized arithmetic with mutmut: python -m tests.mutation [--keep].

Each mutant is one small change of a line; a test that fails kills it. Survivors that change no result are listed in SAME
with the reason. Ends with status 1 where a survivor is not. --keep writes docs/results/mutation.json.
"""
from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mcunas.atomic import write_file

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results" / "mutation.json"
MODULES = ("mcunas/graph/arithmetic.py", "mcunas/compiler/place.py", "mcunas/compiler/lifetime.py")
TESTS = ("tests/graph/test_arithmetic.py", "tests/compiler/test_place.py", "tests/compiler/test_plan.py",
         "tests/compiler/test_lifetime.py")
SETTINGS = """[mutmut]
source_paths=mcunas
only_mutate={modules}
also_copy=boards
    firmware
pytest_add_cli_args=-p
    no:xdist
    -p
    no:cacheprovider
pytest_add_cli_args_test_selection={tests}
track_dependencies=false
use_git_change_detection=false
"""
# Function, a part of the changed line, why no test can tell.
SAME = (
    ("_round_half_away", "value > 0", "0 of either sign is 0"),
    ("doubling_high_multiply", "product > 0", "0 with either nudge rounds to 0"),
    ("doubling_high_multiply", "product >= 1", "0 with either nudge rounds to 0"),
    ("doubling_high_multiply", "total > 0", "0 shifted either way is 0"),
    ("doubling_high_multiply", "total >= 1", "0 shifted either way is 0"),
    ("rounding_shift_right", "x <= 0", "0 has no remainder"),
    ("rounding_shift_right", "x < 1", "0 has no remainder"),
    ("wrap32", "np.int64) - (1 << 31)) &", "2^31 added or subtracted is the same modulo 2^32"),
    ("short_multiplier", "whole <= 0x7FFF0000", "0x7FFF0000 rounds to the same"),
    ("short_multiplier", "whole < 2147418113", "0x7FFF0000 rounds to the same"),
    ("place", "found[i].last + found[i].first", "another order that is tried first; any is legal"),
    ("place", "found[i].first - 1", "another order that is tried first; any is legal"),
    ("place", "bool(None)", "another order that is tried first; any is legal"),
    ("place", "zip(found, offsets", "the two are equally long"),
    ("FirstFit.__call__", "[-2]", "another mark of what has no offset"),
    ("FirstFit.__call__", "arena = 1", "no buffer is empty"),
    ("FirstFit.lowest", "at <= high", "where they are equal nothing moves"),
    ("FirstFit.lowest", "low > at", "where they are equal nothing moves"),
)


def mutmut(folder: Path, *arguments: str) -> str:
    return subprocess.run([sys.executable, "-m", "mutmut", *arguments], cwd=folder, capture_output=True, text=True,
                          env={**os.environ, "OMP_NUM_THREADS": "1"}).stdout


def prepared(folder: Path) -> None:
    """A copy of what the mutants and their tests need."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("mcunas", "boards", "firmware", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "setup.cfg").write_text(SETTINGS.format(modules="\n    ".join(MODULES), tests="\n    ".join(TESTS)))


def function_of(mutant: str) -> str:
    """mcunas.compiler.place.xǁFirstFitǁlowest__mutmut_9 -> FirstFit.lowest"""
    name = mutant.rpartition("__mutmut_")[0].rpartition(".")[2]
    return name.removeprefix("x_") if name.startswith("x_") else name.removeprefix("xǁ").replace("ǁ", ".")


def reason_of(function: str, changed: str) -> str | None:
    return next((why for name, part, why in SAME if name == function and part in changed), None)


def results(folder: Path) -> dict[str, Any]:
    """Counts, and each survivor with its changed line and the reason why it is none."""
    fates = dict(line.strip().rsplit(": ", 1) for line in mutmut(folder, "results", "--all", "true").splitlines()
                 if "__mutmut_" in line)
    survivors = []
    for mutant in sorted(name for name, fate in fates.items() if fate not in ("killed", "timeout")):
        changed = [line[1:].strip() for line in mutmut(folder, "show", mutant).splitlines()
                   if line.startswith("+") and not line.startswith("+++")]
        function = function_of(mutant)
        survivors.append({"function": function, "changed": " ".join(changed), "fate": fates[mutant],
                          "same": reason_of(function, " ".join(changed))})
    counts = Counter(fates.values())
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return {"tool": f"mutmut {version('mutmut')}", "commit": commit, "python": platform.python_version(),
            "modules": MODULES, "tests": TESTS, "mutants": len(fates),
            **{fate.replace(" ", "_"): count for fate, count in sorted(counts.items())},
            "unexplained": sum(one["same"] is None for one in survivors), "survivors": survivors}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="write docs/results/mutation.json")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "mutation")
    asked = parser.parse_args()
    prepared(asked.out)
    mutmut(asked.out, "run", "--max-children", str(os.cpu_count() or 1))
    found = results(asked.out)
    if not found["mutants"]:
        raise SystemExit(f"no mutants; see {asked.out}: python -m mutmut run")
    for one in found["survivors"]:
        print(f"{one['fate']}: {one['function']}: {one['changed']}\n    {one['same'] or 'NOT EXPLAINED'}")
    print(f"{found['mutants']} mutants, {found.get('killed', 0)} killed, {found.get('timeout', 0)} never ended, "
          f"{len(found['survivors'])} survived, {found['unexplained']} of them not explained")
    if asked.keep:
        write_file(RESULTS, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    raise SystemExit(int(found["unexplained"] > 0))


if __name__ == "__main__":
    main()
