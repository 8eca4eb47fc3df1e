# SPDX-License-Identifier: Apache-2.0
"""Compiles the sources of a firmware, on all cores of the host.

Objects of the sources that come with mcunas are kept in the user's cache under a hash of everything they depend on;
only the generated ones are compiled each time. Paths are mapped away, so a cached object is the same from wherever.
"""
from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mcunas.board import Board
from mcunas.board_parts import MODEL_STACK_BYTES
from mcunas.device.toolchain import compiler_version, run_tool
from mcunas.errors import InputError
from mcunas.paths import cache_dir, firmware_dir

# Model and kernels are compiled for the goal of the compilation (compiler.OPTIMIZE). The firmware around them is always
# -Os: its speed does not matter, and every byte it takes is one that no model can have.
FIRMWARE_LEVEL = "-Os"
# Where size is the goal, a memcpy of a few instructions replaces the library's.
SMALL_LIBRARY = "bytes"
# A frame larger than the stack's guard could skip it; so large frames do not compile, nor link where -flto makes them.
FRAME_LIMIT = ("-Werror", f"-Wframe-larger-than={MODEL_STACK_BYTES // 2}")
_FLAGS = ("-std=c11", "-masm-syntax-unified", "-g", "-ffunction-sections", "-fdata-sections",
          "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wvla", *FRAME_LIMIT)


def compile_objects(gcc: str, work: Path, board: Board, kernels: tuple[str, ...], level: tuple[str, ...],
                    folders: tuple[str, ...] = ("app",), defines: tuple[str, ...] = ()) -> tuple[Path, ...]:
    """Objects of model, kernels, platform and application into work/obj, named so that their order is fixed; the sources
    of firmware/ among them.

    work: holds model.c, model.h, image.c and board.h. level: options of model and kernels. folders: of firmware/, whose
    sources belong to the application. defines: options for all.
    Raises InputError: a driver or kernel that is not there, or C that does not compile.
    """
    root = firmware_dir().resolve()
    platform = ("startup", "fault", f"uart_{board.console.driver}", f"timer_{board.timer.driver}",
                *((SMALL_LIBRARY,) if "-Os" in level else ()))
    chip = sorted((root / "platform" / board.family).glob("*.c")) or [root / "platform" / "chip_fixed.c"]
    generated = [work / "model.c", work / "image.c"]    # first: the model takes longest
    model = [root / "kernels" / f"{name}.c" for name in kernels]
    firmware = [*(root / "platform" / f"{name}.c" for name in platform), *chip,
                *(source for folder in folders for source in sorted((root / folder).glob("*.c")))]
    for source in (*model, *firmware):
        if not source.exists():
            raise InputError(f"{source.name} is not in firmware/{source.parent.name}", board.key)

    flags = [*board.cflags, *_FLAGS, *defines]
    paths = [f"-I{root}/kernels", f"-I{root}/decode", f"-ffile-prefix-map={root}=firmware", f"-ffile-prefix-map={work}=."]
    firmware_paths = [*paths, f"-I{root}/platform", *(f"-I{root}/{folder}" for folder in folders), f"-I{work}"]
    headers = b"".join(path.read_bytes() for path in sorted(root.rglob("*.h")))
    model_state = hashlib.sha256("\0".join((compiler_version(gcc), *flags, *level)).encode() + headers)
    firmware_state = hashlib.sha256("\0".join((compiler_version(gcc), *flags, FIRMWARE_LEVEL)).encode() + headers)
    board_state = firmware_state.copy()
    board_state.update((work / "board.h").read_bytes())
    (work / "obj").mkdir()

    def compile_one(source: Path, cached: Path | None, *options: str) -> None:
        output = work / "obj" / f"{'model' if cached is None else source.parent.name}-{source.stem}.o"
        with contextlib.suppress(OSError):
            if cached is not None:
                output.write_bytes(cached.read_bytes())
                return
        run_tool([gcc, *flags, *options, "-c", str(source), "-o", str(output)], work)
        if cached is not None:
            _keep(output, cached)

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        jobs = [pool.submit(compile_one, source, None, *level, *paths) for source in generated]
        jobs += [pool.submit(compile_one, source, _cached(model_state, source), *level, *paths) for source in model]
        jobs += [pool.submit(compile_one, source, _cached(board_state if _sees_board(source) else firmware_state, source),
                             FIRMWARE_LEVEL, *firmware_paths) for source in firmware]
        for job in jobs:
            job.result()
    return (*model, *firmware)


def _sees_board(source: Path) -> bool:
    """Does it include board.h, directly or through a header of the firmware's? The other objects serve all boards."""
    names = re.findall(r'^#include "(\S+)"', source.read_text(), re.MULTILINE)
    headers = [firmware_dir() / folder / name for folder in ("platform", "app") for name in names]
    return "board.h" in names or any(_sees_board(header) for header in headers if header.exists())


def _cached(state: hashlib._Hash, source: Path) -> Path:
    key = state.copy()
    key.update(source.name.encode() + b"\0" + source.read_bytes())
    return cache_dir() / "objects" / f"{key.hexdigest()}.o"


def _keep(output: Path, cached: Path) -> None:
    """Into the cache, whole. Without a writable cache the next build is slower, no more."""
    with contextlib.suppress(OSError):
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cached.parent, delete=False) as file:
            file.write(output.read_bytes())
        Path(file.name).replace(cached)
