# SPDX-License-Identifier: Apache-2.0
"""The same question in two processes, from two folders, with other orders of sets and empty caches: the same network, the
same .tflite, the same firmware, byte by byte."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROAD = """
import sys
from pathlib import Path
import mcunas
from mcunas.tasks import Schedule
short = Schedule(prune_epochs=2, finetune_epochs=1, qat_epochs=1, warmup_epochs=1, batch=32, width_rate=0.3)
own, out = "tests.search.test_own", Path("run")
found = mcunas.search(f"{own}:loaders", mcunas.Board.load("mps2-an386"), mcunas.Budget(ram=640, flash="7 KiB"),
                      start=f"{own}:net", out=out, schedule=short, seed=3)
mcunas.quantize(found)
mcunas.build(out / "model.tflite", "mps2-an386", out)
"""
SAME = ("genotype.json", "history.json", "model.tflite", "model.c", "firmware.elf", "firmware.bin", "manifest.json",
        "sbom.cdx.json")


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    runs = []
    for number, name in enumerate(("one", "another place")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "road.py").write_text(ROAD)
        environment = {**os.environ, "PYTHONHASHSEED": str(number), "PYTHONPATH": str(ROOT),
                       "XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": str(folder)}
        runs.append(subprocess.Popen([sys.executable, "road.py"], cwd=folder, env=environment, stderr=subprocess.PIPE))
    for run in runs:
        said = run.communicate()[1]
        assert run.returncode == 0, said.decode()[-2000:]
    for name in SAME:
        one, other = ((tmp_path / folder / "run" / name).read_bytes() for folder in ("one", "another place"))
        assert one == other, name
