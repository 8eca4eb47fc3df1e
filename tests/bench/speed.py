# SPDX-License-Identifier: Apache-2.0
"""Instructions and modelled cycles of the MLPerf Tiny models on every core, for every goal: ``python -m tests.bench.speed``.

Instructions are counted in QEMU, exact and repeatable; cycles are the core's model (mcunas/cost/cycles.py). What was
measured is kept under a hash of its sources, so a run measures only what changed, and an interrupted one goes on.
"""
from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Iterable
from typing import Any

from mcunas.atomic import write_file
from mcunas.board import Board
from mcunas.board_parts import Fetch
from mcunas.compiler import OPTIMIZE, compile_graph
from mcunas.device import build, executed
from mcunas.device.toolchain import compiler_version, tool
from mcunas.graph import read_tflite
from mcunas.paths import boards_dir, firmware_dir
from tests.bench import peers
from tests.bench.measure import MODELS, RESULTS, ROOT, markdown, measure, model_bytes, save

BOARDS = (*peers.INSTRUCTIONS, "mps2-an505")
INPUTS = 5
ART = Fetch(wait_states=5, line_bytes=16, code_lines=64, data_lines=8, prefetch=True)       # STM32F446 at 180 MHz
KEPT = ROOT / "build" / "bench" / "speed.json"
# What decides a row besides the generated C, the firmware and the board: the code that measures and prices.
MEASURES = ("mcunas/device", "mcunas/cost/cycles.py", "mcunas/cost/thumb.py", "mcunas/timing.py", "tests/bench/measure.py")


def source_of(model: str, key: str, goal: str) -> str:
    """A hash of everything that the measurement of `model` on board `key` for `goal` depends on."""
    data, board = model_bytes(model), Board.load(key)
    compiled = compile_graph(read_tflite(data, model), board, goal)
    state = hashlib.sha256(data)
    facts = (compiled.manifest["source_sha256"], *compiled.kernels, *OPTIMIZE[goal], str(INPUTS),
             compiler_version(tool("arm-none-eabi-gcc")), compiler_version(tool("qemu-system-arm")))
    state.update("\0".join(facts).encode())
    files = [boards_dir() / f"{key}.toml", boards_dir() / "cost" / f"{board.cost_table}.toml"]
    files += [path for path in firmware_dir().rglob("*") if path.suffix in (".h", ".ld") or path.parent.name != "kernels"]
    files += [firmware_dir() / "kernels" / f"{name}.c" for name in compiled.kernels]
    for name in MEASURES:
        files += (ROOT / name).rglob("*.[pc]*") if (ROOT / name).is_dir() else [ROOT / name]
    for path in sorted(path for path in files if path.is_file() and path.suffix != ".pyc"):
        state.update(path.name.encode() + b"\0" + path.read_bytes())
    return state.hexdigest()[:16]


def kept_rows() -> dict[str, dict[str, Any]]:
    """Earlier rows by their source: those of an interrupted run, and the published ones."""
    rows = []
    for path in (RESULTS / "speed.json", KEPT):
        if path.exists():
            rows += json.loads(path.read_text())["rows"]
    return {row["source"]: row for row in rows if "source" in row}


def speed_table(rows: Iterable[dict[str, Any]]) -> str:
    table = []
    for r in rows:
        peer = peers.INSTRUCTIONS.get(r["board"], {}).get(r["model"])
        peer_cycles = peers.MODELLED_CYCLES.get(r["board"], {}).get(r["model"])
        table.append([r["board"], r["model"], r["optimize"], r["mismatches"], peer or "–", r["instructions"],
                      f"{r['instructions'] / r['macs']:.2f}", f"{peer / r['instructions']:.2f}x" if peer else "–",
                      peer_cycles or "–", r["cycles"], f"{r['cycles'] / r['macs']:.2f}",
                      f"±{r['cycles_error_percent']:g} %", r["arena_bytes"]])
    return markdown(["board", "model", "goal", "mismatches", "instructions: TFLM + CMSIS-NN", "mcunas", "per MAC",
                     "fewer by", "modelled cycles: CMSIS-NN", "mcunas", "per MAC", "model", "RAM"], table)


def silicon_table(rows: Iterable[dict[str, Any]]) -> str:
    """Cortex-M4, goal cycles, beside the best published silicon."""
    found = {r["model"]: r for r in rows if "art_cycles" in r}
    table = []
    for model, best in peers.SILICON_M4_CYCLES.items():
        if model in found:
            plain, waiting = found[model]["cycles"], found[model]["art_cycles"]
            table.append([model, best, plain, f"{plain / best:.2f}", waiting, f"{waiting / best:.2f}"])
    return markdown(["model", "best silicon, cycles", "mcunas, no wait states", "of it", "mcunas, 5 wait states", "of it"],
                    table)


_SILICON = """
Cortex-M4, goal cycles, modelled, beside the best published silicon (NUCLEO-L4R5ZI at 120 MHz, 5 wait states behind a
cache). The last columns are with 5 wait states, lines of 16 bytes and a cache of 64 lines of code and 8 of constants, as on
NUCLEO-F446RE, where CMSIS-NN's convolutions took 1.04 to 1.13 times the model (39 of 40 layers).

"""


def text_of(rows: list[dict[str, Any]]) -> str:
    return speed_table(rows) + _SILICON + silicon_table(rows)


def art_cycles(model: str, key: str, goal: str) -> int:
    """Modelled cycles where flash has wait states behind an accelerator."""
    board = dataclasses.replace(Board.load(key), fetch=ART)
    with tempfile.TemporaryDirectory() as folder:
        image = build(compile_graph(read_tflite(model_bytes(model), model), board, goal), board, folder)
        return round(executed(image)[1].typical)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boards", nargs="*", default=list(BOARDS))
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--goals", nargs="*", default=list(OPTIMIZE))
    parser.add_argument("--fresh", action="store_true", help="measure everything again")
    parser.add_argument("--show", action="store_true", help="print the tables and leave docs/results as it is")
    asked = parser.parse_args()
    kept, rows = {} if asked.fresh else kept_rows(), []
    for key in asked.boards:
        for model in asked.models:
            for goal in asked.goals:
                source = source_of(model, key, goal)
                if source not in kept:
                    kept[source] = {**measure(model, key, goal, INPUTS), "source": source}
                    if (key, goal) == ("mps2-an386", "cycles"):
                        kept[source]["art_cycles"] = art_cycles(model, key, goal)
                    write_file(KEPT, json.dumps({"rows": list(kept.values())}))
                rows.append(kept[source])
    if asked.show:
        print(text_of(rows))
    else:
        save("speed", rows, text_of(rows))


if __name__ == "__main__":
    main()
