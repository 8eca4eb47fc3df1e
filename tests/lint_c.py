# SPDX-License-Identifier: Apache-2.0
"""cppcheck and clang-tidy over the firmware, and over a generated model with its kernels: python -m tests.lint_c.

Every check of cppcheck's (warning, portability, performance) and clang-tidy's (analyzer, bugprone, cert, portability) holds
but those that are named below, each with the reason why it does not.
"""
from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mcunas.board import Board
from mcunas.compiler import compile_graph
from mcunas.device.layout import board_h, image_c
from mcunas.device.toolchain import tool
from mcunas.paths import firmware_dir
from tests.kernels.bundle import draw
from tests.kernels.strategies_graph import small_graph

# The linker script's symbols begin and end one region, which C cannot say. gcc and clang shift signed numbers
# arithmetically, which C leaves to them; the kernels' tests would see another way.
CPPCHECK = ("comparePointers", "subtractPointers", "shiftTooManyBitsSigned", "shiftNegativeLHS")
# Kernels take many numbers in their order; _stack_top and the like are the linker script's names; narrowing and widening
# are -Wconversion's; memcpy has no other form in newlib; int8_t is a number, no character; the intrinsics are the point of
# a kernel for one core; macros that make a function's name or a declaration cannot have parentheses.
TIDY = ("-*", "clang-analyzer-*", "bugprone-*", "cert-*", "portability-*", "-bugprone-easily-swappable-parameters",
        "-bugprone-reserved-identifier", "-cert-dcl37-c", "-cert-dcl51-cpp", "-bugprone-narrowing-conversions",
        "-bugprone-implicit-widening-of-multiplication-result", "-clang-analyzer-security.insecureAPI.*",
        "-bugprone-signed-char-misuse", "-cert-str34-c", "-portability-simd-intrinsics", "-bugprone-macro-parentheses")
# Board -> the ending of the kernels that are for its core alone; the first takes all that is for any core.
BOARDS = {"mps2-an386": "dsp", "mps2-an385-m0plus": "m0", "mps2-an385": "m3", "mps3-an547": "mve"}


def generated(folder: Path, board: Board) -> list[Path]:
    """model.c and what ties it to the application."""
    compiled = compile_graph(draw(small_graph(), 1, 3)[0][0], board, model_id="model")
    texts = {"model.c": compiled.model_c, "model.h": compiled.model_h, "image.c": image_c(compiled, board),
             "board.h": board_h(board)}
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [folder / "model.c", folder / "image.c"]


def sources_of(board: Board) -> list[Path]:
    """The firmware's sources to look at as this board's core compiles them."""
    root = firmware_dir()
    kernels = sorted((root / "kernels").glob("*.c"))
    mine = [path for path in kernels if path.stem.rpartition("_")[2] == BOARDS[board.key]]
    if board.key != next(iter(BOARDS)):
        return mine
    portable = [path for path in kernels if path.stem.rpartition("_")[2] not in BOARDS.values()]
    platform = [root / "platform" / f"{name}.c" for name in (
        "startup", "fault", "bytes", "chip_fixed", f"uart_{board.console.driver}", f"timer_{board.timer.driver}")]
    return [*portable, *mine, *platform, *sorted((root / "app").glob("*.c")), *sorted((root / "decode").glob("*.c"))]


def headers(folder: Path) -> list[str]:
    return [f"-I{path}" for path in (folder, *(firmware_dir() / name for name in (
        "kernels", "platform", "app", "decode", "probe", "calibrate")))]


def arm_headers() -> list[str]:
    """Of the cross compiler: newlib's."""
    said = subprocess.run([tool("arm-none-eabi-gcc"), "-xc", "-E", "-v", os.devnull], capture_output=True, text=True).stderr
    found = said.partition("search starts here:")[2].partition("End of search list")[0].split("\n")
    return [f"-isystem{line.strip()}" for line in found if line.endswith("arm-none-eabi/include")]


def cppcheck(folder: Path) -> bool:
    """Whether nothing was found in the firmware and the model."""
    command = ["cppcheck", "-q", "--std=c11", "--enable=warning,portability,performance", "--inline-suppr",
               "--max-configs=4", "--error-exitcode=1", "--suppress=missingIncludeSystem", "--suppress=toomanyconfigs",
               *(f"--suppress={name}" for name in CPPCHECK), f"-j{os.cpu_count() or 1}",
               *headers(folder), str(firmware_dir()), str(folder)]
    return subprocess.run(command).returncode == 0


def tidy(board: Board, folder: Path) -> bool:
    """Whether nothing was found in what this board compiles."""
    core = [flag for flag in board.cflags if flag != "-mfpu=auto"]      # gcc's word; clang derives it from the core
    flags = ["-std=c11", "--target=arm-none-eabi", *core, "-ffreestanding", "-fomit-frame-pointer", *arm_headers(),
             *headers(folder)]

    def one(source: Path) -> str:
        checks = [f"--checks={','.join(TIDY)}", "--warnings-as-errors=*"]
        done = subprocess.run(["clang-tidy", "--quiet", *checks, str(source), "--", *flags], capture_output=True, text=True)
        return done.stdout if done.returncode else ""

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = [said for said in pool.map(one, [*generated(folder, board), *sources_of(board)]) if said]
    print("".join(found), end="", flush=True)
    return not found


def main() -> None:
    clean = True
    with tempfile.TemporaryDirectory() as temporary:
        for number, key in enumerate(sys.argv[1:] or BOARDS):
            folder = Path(temporary) / key
            folder.mkdir()
            clean &= tidy(Board.load(key), folder)
            clean &= number > 0 or cppcheck(folder)
    raise SystemExit(int(not clean))


if __name__ == "__main__":
    main()
