# SPDX-License-Identifier: Apache-2.0
"""Builds the firmware around a compiled model: model.c, its kernels, the platform and the application become one ELF.

Two builds of the same input give the same bytes: no build id, no dates, no paths (-ffile-prefix-map), objects linked in
a fixed order. Nothing is written to the output folder before the link has succeeded.
"""
from __future__ import annotations

import json
import re
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcunas.atomic import write_files
from mcunas.board import Board
from mcunas.compiler import OPTIMIZE
from mcunas.device import sbom
from mcunas.device.boot import seal
from mcunas.device.elf import read_elf
from mcunas.device.layout import board_h, image_c, linker_script
from mcunas.device.objects import FRAME_LIMIT, compile_objects
from mcunas.device.toolchain import compiler_version, gist, run_tool, tool
from mcunas.errors import DoesNotFit, InputError

if TYPE_CHECKING:
    from mcunas.compiler import Compiled
    from mcunas.tasks.detection.decode import DetectionHead


_TEMPORARY = re.compile(r"/\S*/cc\w+\.(?=ltrans|debug)")    # of -flto: another name every time


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

    @property
    def is_tflm(self) -> bool:
        """Whether TensorFlow Lite Micro computes the model (tflm.py), and not mcunas' own C."""
        return self.manifest.get("engine") == "tflm"

    @property
    def decoder(self) -> DetectionHead | None:
        """How the application decodes the output itself."""
        if "decoder" not in self.manifest:
            return None
        from mcunas.tasks.detection.decode import DetectionHead

        return DetectionHead(**self.manifest["decoder"])

    def model_bytes(self) -> bytes:
        """The .tflite that it was compiled from. Raises InputError where that is not beside it."""
        if self.tflite is None:
            raise InputError("the firmware has no model.tflite beside it", str(self.folder), "build it with tflite=...")
        return self.tflite.read_bytes()

    @staticmethod
    def load(folder: str | Path) -> Image:
        """An image that was built before. Raises InputError."""
        folder = Path(folder)
        try:
            manifest = json.loads((folder / "manifest.json").read_text())
            board = Board.load(manifest["build"]["board_file"])
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError("is not a folder with a built firmware", str(folder), "build one first") from None
        return _image(folder, manifest, board)


def build(compiled: Compiled, board: Board, out_dir: str | Path, *, debug: bool = False, tflite: bytes | None = None,
          ram_bytes: int | None = None, flash_bytes: int | None = None, folders: tuple[str, ...] = ("app",),
          defines: tuple[str, ...] = (), decoder: DetectionHead | None = None) -> Image:
    """Compile and link `compiled` for `board` into `out_dir`.

    tflite: the model file, kept beside the firmware for validation. ram_bytes, flash_bytes: budgets the linker
    enforces; default: all that the board leaves for a model. debug: -Og.
    folders: of firmware/, whose sources make the application. defines: options like "-DMN_TAP" for all of it.
    decoder: how the application decodes the output itself.
    Raises DoesNotFit, ToolMissing, InputError.
    """
    gcc, out_dir = tool("arm-none-eabi-gcc"), Path(out_dir)
    budgets = (ram_bytes or board.ram_bytes, flash_bytes or board.flash_bytes)
    with tempfile.TemporaryDirectory(prefix="mcunas-") as temporary:
        work = Path(temporary).resolve()
        texts = {"model.c": compiled.model_c, "model.h": compiled.model_h, "image.c": image_c(compiled, board, decoder),
                 "board.h": board_h(board, decoder is not None),
                 "link.ld": linker_script(board, *budgets, compiled.plan.home)}
        for name, text in texts.items():
            (work / name).write_text(text)
        if tflite is not None:
            (work / "model.tflite").write_bytes(tflite)
        level = ("-Og",) if debug else OPTIMIZE[compiled.optimize]
        folders = (*folders, *(("decode",) if decoder else ()))
        sources = compile_objects(gcc, work, board, compiled.kernels, level, folders, defines)
        manifest = {**compiled.manifest, **({"decoder": asdict(decoder)} if decoder else {})}
        manifest = finish(gcc, work, board, manifest, level, budgets, sources)
        return publish(work, out_dir, manifest, board)


def finish(gcc: str, work: Path, board: Board, manifest: dict[str, Any], level: tuple[str, ...], budgets: tuple[int, int],
           sources: tuple[Path, ...], libraries: tuple[str, ...] = ()) -> dict[str, Any]:
    """Link the objects in work/obj and make bin, hex, sbom.cdx.json and manifest.json of them; the manifest. budgets: bytes
    of RAM and flash that a model may use. sources: of firmware/, that were compiled. Raises DoesNotFit, InputError."""
    _link(gcc, work, board, level, *budgets, libraries)
    seal(work / "firmware.elf")
    for suffix, form in (("bin", "binary"), ("hex", "ihex")):
        run_tool([tool("arm-none-eabi-objcopy"), "-O", form, "firmware.elf", f"firmware.{suffix}"], work)
    version = compiler_version(gcc)
    manifest = {**manifest, "build": _figures(work, board, f"{version} {' '.join(level)}")}
    (work / sbom.NAME).write_text(sbom.image_sbom(manifest.get("model", "benchmarks"), board.key, work, sources, version))
    (work / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


def publish(work: Path, out_dir: Path, manifest: dict[str, Any], board: Board) -> Image:
    """What was built, in its folder. Raises InputError."""
    _publish(work, out_dir)
    return _image(out_dir, manifest, board)


def _image(folder: Path, manifest: dict[str, Any], board: Board) -> Image:
    model = folder / "model.tflite"
    return Image(folder / "firmware.elf", folder / "firmware.bin", folder / "firmware.hex", manifest, board,
                 model if model.exists() else None)


def _link(gcc: str, work: Path, board: Board, level: tuple[str, ...], ram_budget_bytes: int,
          flash_budget_bytes: int, libraries: tuple[str, ...] = ()) -> None:
    objects = sorted(str(path.relative_to(work)) for path in (work / "obj").iterdir())
    command = [gcc, *board.cflags, *level, *FRAME_LIMIT, "-nostartfiles", "-Tlink.ld", "-Wl,--gc-sections",
               "-Wl,--build-id=none", f"-ffile-prefix-map={work}=.", "-Wl,-Map=firmware.map", "-Wl,--fatal-warnings",
               *objects, *libraries, "-o", "firmware.elf"]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, errors="replace", check=False)
    linker_map = work / "firmware.map"
    if done.returncode == 0:
        linker_map.write_text(_TEMPORARY.sub("", linker_map.read_text()))
        return
    # The linker's assertions and region checks decide; the sizes for the message are in its map.
    sizes = {name: int(size, 16) for name, size in re.findall(
        r"^(\.\w+)\s+0x[0-9a-f]+\s+(0x[0-9a-f]+)", linker_map.read_text(), re.MULTILINE)}
    image_bytes = sum(sizes.get(name, 0) for name in (".boot", ".text", ".rodata", ".data"))
    if "larger than the RAM budget" in done.stderr:
        arena_bytes = sum(size for name, size in sizes.items() if name.startswith(".arena"))
        what = f"the arena is {arena_bytes} bytes, the RAM budget {ram_budget_bytes}"
    elif "larger than the flash budget" in done.stderr:
        what = (f"the image is {image_bytes} bytes, {flash_budget_bytes + board.reserve.flash} are allowed "
                f"({flash_budget_bytes} for the model, {board.reserve.flash} for the firmware)")
    elif over := re.search(r"region .(\w+)' overflowed by (\d+) bytes", done.stderr):
        what = f"memory {over.group(1)} overflows by {over.group(2)} bytes"
    else:
        raise InputError(f"the linker failed: {gist(done.stderr)}", board.key)
    raise DoesNotFit(f"the model does not fit: {what}", board.key, "use a smaller model or a larger board")


def _figures(work: Path, board: Board, compiler: str) -> dict[str, Any]:
    info = read_elf(work / "firmware.elf")
    return {"board": board.key, "board_file": board.reference, "compiler": compiler, "flash_bytes": info.flash_bytes,
            "arena_bytes": info.arena_bytes, "stack_bytes": info.stack_bytes, "data_bytes": info.data_bytes,
            "spare_ram_bytes": info.between("_spare_start", "_spare_end")}


def _publish(work: Path, out_dir: Path) -> None:
    """Write every file whole, the manifest last: it stands for a complete build."""
    files = {path.name: path.read_bytes() for path in sorted(work.iterdir()) if path.is_file()}
    manifest = files.pop("manifest.json")
    try:
        for stale in ("manifest.json", "model.tflite"):
            (out_dir / stale).unlink(missing_ok=True)
        write_files(out_dir, files | {"manifest.json": manifest})
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", str(out_dir), "name another folder") from None
