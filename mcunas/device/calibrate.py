# SPDX-License-Identifier: Apache-2.0
"""calibrate: micro-benchmarks on the target itself, and from them that board's cycle table (mcunas/cost/calibration.py).

Cycles are counted by the core's own counter, DWT CYCCNT or else SysTick. QEMU has no DWT that counts, and its time is
that of executed instructions: there the board's timer counts, and one cycle is one instruction.
"""
from __future__ import annotations

import datetime
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mcunas
from mcunas.board import Board
from mcunas.cost.benches import TURNS, Bench, benches
from mcunas.cost.calibration import Fitted, Measured, fit
from mcunas.cost.calibration_table import measured_benches, table
from mcunas.device.bench_code import Benchmarks, benchmarks, job, symbol, ticks
from mcunas.device.build import Image, build
from mcunas.device.disassembly import Code, disassemble
from mcunas.device.elf import read_elf
from mcunas.device.link import Link
from mcunas.device.run import connect
from mcunas.device.serial_port import SerialPort
from mcunas.device.toolchain import compiler_version, tool
from mcunas.device.validate import instructions_of
from mcunas.errors import CheckFailed, InputError
from mcunas.timing import Calibration

COUNTERS = ("DWT CYCCNT", "SysTick", "timer")      # enum counter of firmware/calibrate
_DWT, _SYSTICK, _TIMER = range(3)
_GREETING_S = 5.0                                   # for the firmware to say what it is
_WALK_TURNS = 8                                     # those bodies are long


@dataclass(frozen=True)
class Calibrated:
    """text: the table as a file; `fitted` and `calibration` are what it holds."""

    board: Board
    fitted: Fitted
    calibration: Calibration
    text: str


def calibrate(board: Board, *, port: str | None = None, firmware: Path | None = None,
              progress: Callable[[int, int], None] | None = None) -> Calibrated:
    """Measure `board` and fit its table. port: the serial port of a board that runs the firmware; None: QEMU.

    firmware: a folder that keeps ELF, bin and hex, to be flashed. progress: called with (benchmarks done, of all).
    Raises InputError, ToolMissing, CheckFailed.
    """
    if port is None and board.emulate is None and firmware is None:
        raise InputError("has no emulator", board.key,
                         "keep the firmware with --firmware DIR, flash it, and name the board's --port")
    if port is not None:
        SerialPort(port, board.console.baud).close()        # before seconds of building, not after
    chosen = benches(board.isa)
    code = benchmarks(chosen)
    with tempfile.TemporaryDirectory(prefix="mcunas-") as temporary:
        image = build_benchmarks(code, board, firmware or Path(temporary))
        if port is None and board.emulate is None:
            raise InputError("has no emulator", board.key, f"flash {image.elf} and name the board's --port")
        with _link(image, code, port) as link:
            counter = _counter(link, image.board, port is not None)
            found = _measure(link, image, chosen, counter, port is None, progress)
    fitted = fit(found, board.core_cycle_model.timing, board.fetch)
    done = Calibration(
        datetime.date.today().isoformat(), board.name if port else f"QEMU {board.emulate.qemu if board.emulate else ''}",
        COUNTERS[counter] + ("" if port else ", one cycle is one instruction"), board.clock_hz,
        compiler_version(tool("arm-none-eabi-gcc")), " ".join(board.cflags), _commit(), fitted.undecided,
        measured_benches(fitted))
    return Calibrated(board, fitted, done, table(board.key, board.cpu, fitted, done))


def build_benchmarks(code: Benchmarks, board: Board, folder: Path) -> Image:
    """The firmware of the benchmarks."""
    return build(code, board, folder, folders=("app", "calibrate"))  # type: ignore[arg-type]


def bodies(image: Image, chosen: tuple[Bench, ...], cycles: Callable[[int, Bench], float]) -> list[Measured]:
    """Every benchmark's bodies as they were linked, with the `cycles` of one (index, benchmark)."""
    symbols, code = read_elf(image.elf).symbols, disassemble(image.elf, image.board)
    return [Measured(bench, _span(symbols, code, symbol(bench, 1)), _span(symbols, code, symbol(bench, 2)),
                     cycles(i, bench)) for i, bench in enumerate(chosen)]


def _span(symbols: dict[str, int], code: Code, name: str) -> tuple:
    start = symbols[f"{name}_from"] & ~1
    return code.span(start, (symbols[f"{name}_to"] & ~1) - start)


@contextmanager
def _link(image: Image, code: Benchmarks, port: str | None) -> Iterator[Link]:
    if port is None:
        with connect(image) as link:
            yield link
        return
    with SerialPort(port, image.board.console.baud) as stream:
        stream.settle()
        link = Link(stream, image.elf)
        try:
            lines = link.command("profile", timeout_s=_GREETING_S)
        except CheckFailed as error:
            raise CheckFailed(error.what, port, "flash the calibration firmware (--firmware DIR keeps it) and reset"
                              ) from None
        if f"m-model-[{code.title}]" not in lines:
            raise CheckFailed(f"the board does not run the calibration firmware {code.title}", port,
                              "flash the one that --firmware DIR keeps")
        yield link


def _counter(link: Link, board: Board, on_board: bool) -> int:
    """The best counter that counts. Raises CheckFailed."""
    for counter in (_DWT, _SYSTICK, _TIMER) if on_board else (_DWT, _TIMER):
        if _ticks(link, 0, 1, counter) is not None:
            return counter
    raise CheckFailed("none of the target's counters counts", board.key)


def _ticks(link: Link, index: int, turns: int, counter: int) -> tuple[int, int] | None:
    link.load(job(index, turns, counter))
    link.infer()
    return ticks(link.output())


def _measure(link: Link, image: Image, chosen: tuple[Bench, ...], counter: int, emulated: bool,
             progress: Callable[[int, int], None] | None) -> list[Measured]:
    board = image.board

    def cycles(index: int, bench: Bench) -> float:
        if progress:
            progress(index, len(chosen))
        turns = _WALK_TURNS if bench.walks else TURNS
        found = _ticks(link, index, turns, counter)
        if found is None:
            raise CheckFailed(f"the counter stopped before {bench.name}", board.key)
        few, many = (_cycles(n, board, counter, emulated) for n in found)
        if many <= few:
            raise CheckFailed(f"{bench.name}: twice the code took no longer ({few:g} and {many:g} cycles)", board.key)
        return (many - few) / (bench.copies * turns)

    measured = bodies(image, chosen, cycles)
    if progress:
        progress(len(chosen), len(chosen))
    return measured


def _cycles(count: int, board: Board, counter: int, emulated: bool) -> float:
    if counter != _TIMER:
        return count
    return instructions_of(board, count) if emulated else count * board.clock_hz / board.timer.hz


def _commit() -> str:
    """Of the checkout that mcunas runs from; else its version."""
    root = Path(mcunas.__file__).resolve().parent.parent

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        if Path(git("rev-parse", "--show-toplevel") or "/") == root:
            return git("rev-parse", "HEAD") + (" and changes" if git("status", "--porcelain", "-uno") else "")
    except OSError:     # no git
        pass
    return f"mcunas {mcunas.__version__}"
