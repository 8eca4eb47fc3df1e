# SPDX-License-Identifier: Apache-2.0
"""Kernels and generated C are plain enough for LLVM: clang builds them for every core without a warning."""
from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mcunas.board import Board
from mcunas.compiler import compile_graph
from mcunas.compiler.lower import ISAS
from mcunas.paths import firmware_dir
from tests.small_models import dense

CLANG = next((name for name in ("clang", *(f"clang-{v}" for v in range(22, 13, -1))) if shutil.which(name)), None)
NEWLIB = Path("/usr/lib/arm-none-eabi/include")
# The vector kernels use r7, which clang keeps for the frame unless told otherwise.
FLAGS = ("--target=arm-none-eabi", "-std=c11", "-ffreestanding", "-fomit-frame-pointer", "-Wall", "-Wextra", "-Werror",
         "-Wconversion", "-Wshadow", "-c")
BOARDS = {Board.load(key).cpu: Board.load(key) for key in Board.cores()}

pytestmark = pytest.mark.skipif(CLANG is None or not NEWLIB.exists(), reason="clang or newlib's headers are not installed")


def runs_on(kernel: str, isa: str) -> bool:
    """Kernels for an instruction set carry its name at the end; those without run anywhere."""
    suffix = kernel.rsplit("_", 1)[1]
    return suffix not in {"m0", "m3", "dsp", "mve"} or suffix in ISAS[isa]


@pytest.mark.parametrize("cpu", sorted(BOARDS))
def test_clang_builds_every_kernel_and_a_model_without_a_warning(cpu: str, tmp_path: Path) -> None:
    board, kernels = BOARDS[cpu], firmware_dir() / "kernels"
    compiled = compile_graph(dense(24, 10), board, "cycles")
    (tmp_path / "model.c").write_text(compiled.model_c)
    (tmp_path / "model.h").write_text(compiled.model_h)
    sources = [tmp_path / "model.c", *(f for f in sorted(kernels.glob("*.c")) if runs_on(f.stem, board.isa))]
    # clang derives the floating-point unit from the core and does not know gcc's word for that
    cpu_flags = [flag for flag in board.cflags if flag != "-mfpu=auto"]

    def errors_of(source: Path) -> str:
        command = [CLANG, *FLAGS, *cpu_flags, "-O2", "-isystem", str(NEWLIB), f"-I{kernels}", f"-I{tmp_path}", str(source),
                   "-o", str(tmp_path / f"{source.stem}.o")]
        return subprocess.run(command, capture_output=True, text=True, check=False).stderr

    with ThreadPoolExecutor(max_workers=2) as pool:
        assert "".join(pool.map(errors_of, sources)) == ""
    assert len(sources) > 20
