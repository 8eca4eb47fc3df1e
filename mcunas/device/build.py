# SPDX-License-Identifier: Apache-2.0
"""Builds the firmware around a compiled model: model.c, its kernels, the platform and the application become one ELF.

Two builds of the same input give the same bytes: no build id, no dates, no paths (-ffile-prefix-map), objects linked in
a fixed order. Compiled objects are kept in the user's cache under a hash of everything they depend on, so that only the
model is compiled again. Nothing is written to the output folder before the link has succeeded.
"""
from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcunas.atomic import write_files
from mcunas.board import MODEL_STACK_BYTES, Board
from mcunas.compiler import OPTIMIZE
from mcunas.device.elf import read_elf
from mcunas.device.layout import board_h, image_c, linker_script
from mcunas.device.toolchain import compiler_version, tool
from mcunas.errors import DoesNotFit, InputError
from mcunas.paths import cache_dir, firmware_dir

if TYPE_CHECKING:
    from mcunas.compiler import Compiled

# Model and kernels are compiled for the goal of the compiler (compiler.OPTIMIZE). "balanced" is -O2: on the TFLM
# baseline -O3 wins 2 % of the instructions for 13 % more code, and -Os loses 16 to 45 %. The firmware around them is
# always -Os: its speed does not matter, and every byte it takes is one that no model can have.
FIRMWARE_OPTIMIZE = "-Os"
_FLAGS = ("-std=c11", "-masm-syntax-unified", "-g", "-ffunction-sections", "-fdata-sections",
          "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow", "-Wvla",
          f"-Wframe-larger-than={MODEL_STACK_BYTES // 2}")


@dataclass(frozen=True)
class Image:
    """A built firmware: paths of the files, the manifest (model and build figures), and the board it is for."""

    elf: Path
    bin: Path
    hex: Path
    manifest: dict[str, Any]
    board: Board
    tflite: Path | None = None      # the model it was compiled from: the oracle's input

    @property
    def folder(self) -> Path:
        return self.elf.parent

    @staticmethod
    def load(folder: str | Path) -> Image:
        """An image that was built before. Raises InputError."""
        folder = Path(folder)
        try:
            manifest = json.loads((folder / "manifest.json").read_text())
            board = Board.load(manifest["build"]["board_file"])
        except (OSError, ValueError, KeyError):
            raise InputError("is not a folder with a built firmware", str(folder), "build one first") from None
        return _image(folder, manifest, board)


def build(compiled: Compiled, board: Board, out_dir: str | Path, *, debug: bool = False, tflite: bytes | None = None,
          ram_bytes: int | None = None, flash_bytes: int | None = None) -> Image:
    """Compile and link `compiled` for `board` into `out_dir`.

    tflite: the model file, kept beside the firmware for validation. ram_bytes, flash_bytes: budgets the linker
    enforces; default: all that the board leaves for a model. debug: -Og.
    Raises DoesNotFit, ToolMissing, InputError.
    """
    gcc, out_dir = tool("arm-none-eabi-gcc"), Path(out_dir)
    model_id = _model_id(compiled.model_h)
    budgets = (ram_bytes or board.ram_bytes, flash_bytes or board.flash_bytes)
    with tempfile.TemporaryDirectory(prefix="mcunas-") as temporary:
        work = Path(temporary).resolve()
        texts = {"model.c": compiled.model_c, "model.h": compiled.model_h, "image.c": image_c(model_id),
                 "board.h": board_h(board), "link.ld": linker_script(board, *budgets)}
        for name, text in texts.items():
            (work / name).write_text(text)
        if tflite is not None:
            (work / "model.tflite").write_bytes(tflite)
        level = "-Og" if debug else OPTIMIZE[compiled.optimize]
        _compile_all(gcc, work, board, compiled.kernels, level)
        _link(gcc, work, board, *budgets)
        for suffix, form in (("bin", "binary"), ("hex", "ihex")):
            _run([tool("arm-none-eabi-objcopy"), "-O", form, "firmware.elf", f"firmware.{suffix}"], work)
        manifest = {**compiled.manifest, "build": _figures(work, board, f"{compiler_version(gcc)} {level}")}
        (work / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
        _publish(work, out_dir)
    return _image(out_dir, manifest, board)


def _image(folder: Path, manifest: dict[str, Any], board: Board) -> Image:
    model = folder / "model.tflite"
    return Image(folder / "firmware.elf", folder / "firmware.bin", folder / "firmware.hex", manifest, board,
                 model if model.exists() else None)


def _model_id(model_h: str) -> str:
    match = re.search(r"\bmn_model_(\w+)\s*;", model_h)
    if match is None:
        raise InputError("model.h declares no mn_model_<id>")
    return match.group(1)


def _compile_all(gcc: str, work: Path, board: Board, kernels: tuple[str, ...], level: str) -> None:
    """Objects into work/obj, named so that the link order is the order of names."""
    root = firmware_dir().resolve()
    common = [*board.cflags, *_FLAGS, f"-I{root}/kernels"]
    map_paths = [f"-ffile-prefix-map={root}=firmware", f"-ffile-prefix-map={work}=."]
    platform = ("startup", "fault", f"uart_{board.console.driver}", f"timer_{board.timer.driver}")
    own = [*(root / "platform" / f"{name}.c" for name in platform), *sorted((root / "app").glob("*.c"))]
    model = [work / "model.c", work / "image.c", *(root / "kernels" / f"{name}.c" for name in kernels)]
    for source in (*own, *model):
        if not source.exists():
            raise InputError(f"{source.name} is not in firmware/{source.parent.name}", board.key)
    headers = b"".join(path.read_bytes() for path in sorted(root.rglob("*.h")))
    jobs = []       # the model first: it takes longest
    for sources, flags, generated in ((model, [level], "model.h"),
                                      (own, [FIRMWARE_OPTIMIZE, f"-I{root}/platform", f"-I{root}/app"], "board.h")):
        known = [compiler_version(gcc), *common[:-1], flags[0]]
        state = hashlib.sha256("\0".join(known).encode() + headers)
        for source in sources:
            key = state.copy()
            key.update(source.name.encode() + b"\0" + source.read_bytes())
            if generated == "board.h" or source.parent == work:
                key.update((work / generated).read_bytes())
            jobs.append((source, [*common, *flags, f"-I{work}", *map_paths], key.hexdigest()))
    (work / "obj").mkdir()
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        list(pool.map(lambda job: _object(gcc, *job[:2], work, cache_dir() / "objects" / f"{job[2]}.o"), jobs))


def _object(gcc: str, source: Path, flags: list[str], work: Path, cached: Path) -> None:
    """work/obj/<folder>-<name>.o, from the cache where it is there."""
    output = work / "obj" / f"{source.parent.name if source.parent != work else 'model'}-{source.stem}.o"
    try:
        output.write_bytes(cached.read_bytes())
        os.utime(cached)
        return
    except OSError:
        pass
    _run([gcc, *flags, "-c", str(source), "-o", str(output)], work)
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cached.parent, delete=False) as file:
            file.write(output.read_bytes())
        Path(file.name).replace(cached)
    except OSError:
        pass    # without a writable cache the next build is slower, no more


def _link(gcc: str, work: Path, board: Board, ram_budget_bytes: int, flash_budget_bytes: int) -> None:
    objects = sorted(str(path.relative_to(work)) for path in (work / "obj").iterdir())
    command = [gcc, *board.cflags, "-nostartfiles", "-Tlink.ld", "-Wl,--gc-sections", "-Wl,--build-id=none",
               "-Wl,-Map=firmware.map", "-Wl,--fatal-warnings", *objects, "-o", "firmware.elf"]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    # The linker's assertions and region checks decide; the sizes for the message are in its map.
    sizes = {name: int(size, 16) for name, size in re.findall(
        r"^(\.\w+)\s+0x[0-9a-f]+\s+(0x[0-9a-f]+)", (work / "firmware.map").read_text(), re.MULTILINE)}
    image_bytes = sum(sizes.get(name, 0) for name in (".text", ".rodata", ".data"))
    if "larger than the RAM budget" in done.stderr:
        what = f"the arena is {sizes['.arena']} bytes, the RAM budget {ram_budget_bytes}"
    elif "larger than the flash budget" in done.stderr:
        what = (f"the image is {image_bytes} bytes, {flash_budget_bytes + board.reserve.flash} are allowed "
                f"({flash_budget_bytes} for the model, {board.reserve.flash} for the firmware)")
    elif over := re.search(r"region .(\w+)' overflowed by (\d+) bytes", done.stderr):
        what = f"memory {over.group(1)} overflows by {over.group(2)} bytes"
    else:
        raise InputError(f"the linker failed: {_gist(done.stderr)}", board.key)
    raise DoesNotFit(f"the model does not fit: {what}", board.key, "use a smaller model or a larger board")


def _run(command: list[str], cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InputError(f"{Path(command[0]).name} failed: {_gist(done.stderr)}", Path(command[-3]).name)


def _gist(stderr: str) -> str:
    lines = stderr.strip().splitlines() or ["no message"]
    return next((line for line in lines if "error:" in line.lower()), lines[-1])


def _figures(work: Path, board: Board, compiler: str) -> dict[str, Any]:
    info = read_elf(work / "firmware.elf")
    return {"board": board.key, "board_file": str(board.path) if board.key not in Board.keys() else board.key,
            "compiler": compiler, "flash_bytes": info.flash_bytes, "arena_bytes": info.arena_bytes,
            "stack_bytes": info.stack_bytes, "data_bytes": info.data_bytes,
            "spare_ram_bytes": info.between("_spare_start", "_spare_end")}


def _publish(work: Path, out_dir: Path) -> None:
    """Write every file whole, the manifest last: it stands for a complete build."""
    files = {path.name: path.read_bytes() for path in sorted(work.iterdir()) if path.is_file()}
    manifest = files.pop("manifest.json")
    try:
        (out_dir / "manifest.json").unlink(missing_ok=True)
        write_files(out_dir, files | {"manifest.json": manifest})
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", str(out_dir), "name another folder") from None
