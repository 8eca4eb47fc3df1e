# SPDX-License-Identifier: Apache-2.0
"""Puts the tables of docs/results/ between their markers in README.md: ``python -m tests.bench.readme``."""
from __future__ import annotations

import json
import re
from statistics import mean

from tests.bench import peers
from tests.bench.measure import MODELS, RESULTS, ROOT, markdown
from tests.bench.prune_arms import CONTESTS

CORES = {"mps2-an386": "M4", "mps2-an500": "M7", "mps3-an547": "M55", "mps2-an385": "M3", "mps2-an385-m0plus": "M0+"}


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


def main() -> None:
    path = ROOT / "README.md"
    text = path.read_text()
    tables = {"memory": memory_table(), "speed": speed_table(), "prune": prune_table()}
    for name, table in tables.items():
        text, count = re.subn(rf"(<!-- {name} -->\n).*?(<!-- end -->)", lambda m, t=table: m[1] + t + m[2], text, flags=re.S)
        if count != 1:
            raise SystemExit(f"README.md: no place for the {name} table")
    path.write_text(text)


if __name__ == "__main__":
    main()
