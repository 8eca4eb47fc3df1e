# SPDX-License-Identifier: Apache-2.0
"""Puts the tables of docs/results/ between their markers in README.md, and draws its picture: ``python -m
tests.bench.readme``."""
from __future__ import annotations

import json
import re
from statistics import mean

from mcunas.atomic import write_file
from tests.bench import peers, readme_picture
from tests.bench.measure import MODELS, RESULTS, ROOT, markdown
from tests.bench.prune_arms import CONTESTS

CORES = {"mps2-an386": "M4", "mps2-an500": "M7", "mps3-an547": "M55", "mps2-an385": "M3", "mps2-an385-m0plus": "M0+"}
SEARCHED = {"random": "random search", "fbnet-m4": "fbnet", "prunet": "prunet", "rarts": "rarts", "two": "proxyless",
            "padnas": "padnas"}         # arm of its bench -> what it is


def rows(name: str) -> list[dict]:
    return json.loads((RESULTS / f"{name}.json").read_text())["rows"]


def memory_table() -> str:
    """Bytes of RAM, KB of flash beyond the weights (model alone / whole image), millions of instructions."""
    found = {(r["model"], r["optimize"]): r for r in rows("memory")}

    def ours(model: str, goal: str) -> list[str]:
        r = found[model, goal]
        return [f"{r['arena_bytes']:,}", f"{r['model_overhead_bytes'] / 1e3:.1f} / {r['overhead_bytes'] / 1e3:.1f}",
                f"{r['instructions'] / 1e6:.2f}"]

    return markdown(["Cortex-M4", "TFLM: RAM", "flash KB", "M instr.", "balanced: RAM", "flash KB", "M instr.", "ram: RAM",
                     "flash KB", "M instr."],
                    [[m, peers.ARENA_BYTES[m], f"{peers.FLASH_BYTES[m] / 1e3:.1f}",
                      f"{peers.INSTRUCTIONS['mps2-an386'][m] / 1e6:.2f}", *ours(m, "balanced"), *ours(m, "ram")]
                     for m in MODELS])


def speed_table() -> str:
    found = {(r["board"], r["model"]): r["instructions"] for r in rows("speed") if r["optimize"] == "cycles"}
    return markdown(["instructions per inference, TFLM / mcunas", *MODELS],
                    [[core] + [f"{peers.INSTRUCTIONS[board][m] / 1e6:.2f} M / {found[board, m] / 1e6:.2f} M" for m in MODELS]
                     for board, core in CORES.items()])


def prune_table() -> str:
    """Mean int8 accuracy and number of seeds per contest, arms in columns."""
    columns = {"uniform": "uniform", "macs": "MACs only", "greedy": "greedy", "torch-pruning-taylor": "Torch-Pruning",
               "plinio-pit": "PLiNIO PIT", "diffprune": "diffprune"}
    found: dict[tuple[str, str], list[float]] = {}
    for r in rows("prune"):
        if "int8_accuracy" in r:
            found.setdefault((r["contest"], r["arm"]), []).append(100 * r["int8_accuracy"])
    contests = [c for c in CONTESTS if (c, "diffprune") in found]
    return markdown(["int8 accuracy, % (seeds)", *columns.values()],
                    [[c, *(f"{mean(found[c, a]):.1f} ({len(found[c, a])})" if (c, a) in found else "–" for a in columns)]
                     for c in contests])


def search_table() -> str:
    """Of each search in a space: mean int8 accuracy, the gain over random search, use of the budget, search time."""
    known: dict[str, dict[int, dict]] = {}
    for name in ("fbnet", "prunet", "rarts", "proxyless", "padnas"):
        for row in rows(f"nas-{name}") if (RESULTS / f"nas-{name}.json").exists() else ():
            if row["board"] == "mps2-an386":
                known.setdefault(SEARCHED.get(row["arm"], ""), {})[row["seed"]] = row
    base, lines = known.get("random search", {}), []
    for name in SEARCHED.values():
        own = known.get(name, {})
        if not own:
            continue
        gains = [100 * (own[s]["int8_accuracy"] - base[s]["int8_accuracy"]) for s in sorted(own.keys() & base.keys())]
        gained = f"{mean(gains):+.2f} ({' '.join(f'{g:+.2f}' for g in gains)})" if gains and own is not base else "–"
        lines.append([name, f"{100 * mean(r['int8_accuracy'] for r in own.values()):.2f} ({len(own)})",
                      gained, f"{max(max(r['exported_use'].values()) for r in own.values()):.3f}",
                      sum(r["mismatches"] for r in own.values()),
                      f"{mean(sum(r['cpu_seconds'].values()) for r in own.values()):.0f} s"])
    return markdown(["search", "int8 accuracy, % (seeds)", "over random search, by seed", "largest use of a budget",
                     "mismatching bytes", "CPU"], lines)


def main() -> None:
    path = ROOT / "README.md"
    text = path.read_text()
    tables = {"memory": memory_table(), "speed": speed_table(), "prune": prune_table(), "search": search_table()}
    for name, table in tables.items():
        text, count = re.subn(rf"(<!-- {name} -->\n).*?(<!-- end -->)", lambda m, t=table: m[1] + t + m[2], text, flags=re.S)
        if count != 1:
            raise SystemExit(f"README.md: no place for the {name} table")
    write_file(path, text)
    write_file(ROOT / "docs" / "overview.svg", readme_picture.drawn(rows("memory")))


if __name__ == "__main__":
    main()
