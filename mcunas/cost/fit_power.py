# SPDX-License-Identifier: Apache-2.0
"""Active power per board and setup from published energies: ``python -m mcunas.cost.fit_power``.

Reads $MCUNAS_DATA/measurements/latency.csv, writes boards/cost/power.toml. The rows of one board and supply are one setup
where they agree within the error that an energy estimate may have, else one setup per generation of the engine.
"""
from __future__ import annotations

import csv
import os
import re
import sys
from collections import defaultdict
from pathlib import Path

from mcunas.cost.fit_silicon import FLAGGED
from mcunas.paths import boards_dir

AGREE = 0.15                    # either side of the middle
# NUCLEO-L4R5ZI, MLPerf Tiny v1.1, IC: the energy log does not match the submission's own performance log.
CONTRADICTORY = ("v1.1 closed/STMicroelectronics (NUCLEO_L4R5ZI)", "MLPerfTiny IC")


def setup_of(row: dict[str, str]) -> str:
    """The supply as a submission states it, or its operating system where it does not."""
    volts = re.search(r"SMPS ?(\d\.?\d*) ?V|(\d\.?\d*) ?V(?: (ext))?( ?SMPS)?", row["note"])
    if not volts:
        return f"supply not stated, {row['note'].split(';')[0].split()[0]}"
    value = float(volts[1] or volts[2])
    return f"{value:.1f} V" + (" external SMPS" if volts[3] else " SMPS" if volts[1] or volts[4] else "")


def rows(path: Path) -> list[tuple[str, str, str, float]]:
    """(board, setup, engine generation, mW) of every clean MLPerf Tiny row with an energy: energy over latency."""
    found = []
    for row in csv.DictReader(path.open()):
        said = " ".join((row["core"], row["engine"], row["note"].split("VWW dead")[0]))     # dead channels draw power too
        contradicts = CONTRADICTORY[0] in row["source"] and row["model"].startswith(CONTRADICTORY[1])
        if row["source"].startswith("MLPerf") and row["energy_uJ"] and not FLAGGED.search(said) and not contradicts:
            generation = row["engine"].split(".")[0]
            found.append((row["board"], setup_of(row), generation, float(row["energy_uJ"]) / float(row["latency_ms"])))
    return found


def setups(found: list[tuple[str, str, str, float]]) -> dict[tuple[str, str], list[float]]:
    """(board, setup) -> mW; the setup of the most rows first, then the newest engine."""
    supply: dict[tuple[str, str], list[tuple[str, float]]] = defaultdict(list)
    for board, setup, generation, milliwatts in found:
        supply[board, setup].append((generation, milliwatts))
    result: dict[tuple[str, str], list[float]] = defaultdict(list)
    for (board, setup), seen in sorted(supply.items(), key=lambda item: (item[0][0], -len(item[1]))):
        values = [v for _, v in seen]
        agree = max(values) / min(values) <= (1 + AGREE) / (1 - AGREE)
        for generation, value in sorted(seen, reverse=True):
            result[board, setup if agree else f"{setup}, {generation}"].append(value)
    return result


def main() -> None:
    folder = os.environ.get("MCUNAS_DATA")
    if not folder:
        sys.exit("MCUNAS_DATA is not set: it names the folder with measurements/")
    lines = ["# SPDX-License-Identifier: Apache-2.0",
             "# Written by python -m mcunas.cost.fit_power: mean active power in mW, energy per inference over its latency."]
    for (board, setup), values in setups(rows(Path(folder) / "measurements" / "latency.csv")).items():
        middle = (max(values) + min(values)) / 2            # the least worst error
        lines += ["", "[[power]]", f'board = "{board}"', f'setup = "{setup}"', f"milliwatts = {middle:.1f}",
                  f"low = {min(values):.1f}", f"high = {max(values):.1f}",
                  f'source = "{len(values)} MLPerf Tiny energy results"']
    path = boards_dir() / "cost" / "power.toml"
    path.write_text("\n".join(lines) + "\n")
    print(path.read_text())


if __name__ == "__main__":
    main()
