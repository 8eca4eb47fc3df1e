# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Lite Micro as the engine under the same application: what tflm_sources.py generates, with an
arena as large as TFLM says it needs, linked against the user's own build of the library.

TFLM_ROOT: a folder with TFLM's headers (tensorflow/, and what they include under third_party/ or
tensorflow/lite/micro/tools/make/downloads/) and libtensorflow-microlite.a for the board's core, at its top or in gen/.
"""
from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mcunas.board import Board
from mcunas.device.build import Image, finish, publish
from mcunas.device.layout import boxes_c
from mcunas.device.objects import compile_objects
from mcunas.device.stand_in import stand_in
from mcunas.device.target import connect
from mcunas.device.tflm_sources import manifest_of, sources
from mcunas.device.toolchain import gist, tool
from mcunas.errors import InputError, ToolMissing
from mcunas.graph import Graph, read_tflite
from mcunas.paths import firmware_dir

if TYPE_CHECKING:
    from mcunas.tasks.detection.decode import DetectionHead

LIBRARY = "libtensorflow-microlite.a"
LEVEL = ("-O3",)
@dataclass(frozen=True)
class Tflm:
    """A user's build of TFLM. Raises InputError where it is not whole."""

    root: Path
    library: Path

    @staticmethod
    def find(root: str | None = None) -> Tflm:
        """root: default $TFLM_ROOT. Raises InputError."""
        given = root or os.environ.get("TFLM_ROOT", "")
        if not given:
            raise InputError("TFLM_ROOT is not set", "engine tflm", "let it name a folder with TFLM's headers and "
                             f"{LIBRARY}; README.md says how TFLM builds it")
        folder = Path(given)
        if not (folder / "tensorflow/lite/micro/micro_interpreter.h").exists():
            raise InputError("has no tensorflow/lite/micro/micro_interpreter.h", given, "let TFLM_ROOT name TFLM's checkout")
        libraries = sorted([*folder.glob(LIBRARY), *folder.glob(f"gen/*/lib/{LIBRARY}")])
        if len(libraries) != 1:
            raise InputError(f"holds {len(libraries)} files {LIBRARY}", given, "one is needed, for the board's core")
        return Tflm(folder, libraries[0])

    @property
    def defines(self) -> tuple[str, ...]:
        """What the library was compiled with and its headers ask for: without it the int8-only registrations are the whole
        ones, with int4 and int16 kernels."""
        return ("-DCMSIS_NN",) if b"Register_CONV_2D_INT8Ev" in self.library.read_bytes() else ()

    @property
    def includes(self) -> tuple[str, ...]:
        downloads = "tensorflow/lite/micro/tools/make/downloads"
        below = ["third_party/flatbuffers/include", "third_party/gemmlowp", f"{downloads}/flatbuffers/include",
                 f"{downloads}/gemmlowp", f"{downloads}/cmsis_nn"]
        return (f"-isystem{self.root}", *(f"-isystem{self.root / name}" for name in below if (self.root / name).is_dir()))


@dataclass(frozen=True)
class Needs:
    """Bytes of the arena: the least in which TFLM can be set up, and what it uses once it is."""

    arena_bytes: int
    used_bytes: int


def build_tflm(graph: Graph, data: bytes, board: Board, out: Path, tflm: Tflm, needs: Needs | None = None, *,
               ram_bytes: int | None = None, flash_bytes: int | None = None, folders: tuple[str, ...] = ("app",),
               defines: tuple[str, ...] = (), decoder: DetectionHead | None = None) -> Image:
    """Firmware with TFLM under it, in `out`; the other arguments are those of `build`.

    needs: default: found in QEMU. Raises InputError, ToolMissing, DoesNotFit, CheckFailed.
    """
    needs = needs or _needs(graph, data, board, tflm)
    gcc = tool("arm-none-eabi-gcc")
    budgets = (ram_bytes or board.ram_bytes, flash_bytes or board.flash_bytes)
    folders = (*folders, *(("decode",) if decoder else ()))
    with tempfile.TemporaryDirectory(prefix="mcunas-") as temporary:
        work = Path(temporary).resolve()
        texts = {**sources(graph, data, board, needs.arena_bytes, *budgets, decoder is not None),
                 "model.h": "", "image.c": boxes_c(decoder) or "typedef int nothing;\n"}
        for name, text in texts.items():
            (work / name).write_text(text)
        (work / "model.tflite").write_bytes(data)
        compiled = compile_objects(gcc, work, board, (), LEVEL, folders, defines)
        _compile(work, board, tflm, folders, defines)
        manifest = manifest_of(graph, needs.arena_bytes, needs.used_bytes, *budgets, decoder)
        libraries = (str(tflm.library), "-lm", "-lc", "-lgcc", "-lnosys")
        manifest = finish(gcc, work, board, manifest, LEVEL, budgets, compiled, libraries)
        return publish(work, out, manifest, board)


def rebuilt(image: Image, board: Board, out: Path, *, arena_bytes: int | None = None, folders: tuple[str, ...] = ("app",),
            defines: tuple[str, ...] = ()) -> Image:
    """The model of a TFLM image for another board, or with probes in it. Raises as `build_tflm`."""
    data = image.model_bytes()
    graph = replace(read_tflite(data), name=image.manifest["model"])
    needs = Needs(arena_bytes or image.manifest["arena_bytes"], image.manifest["arena_used_bytes"])
    return build_tflm(graph, data, board, out, Tflm.find(), needs, folders=folders, defines=defines,
                      decoder=image.decoder)


def most_bytes(board: Board) -> int:
    """An arena that leaves half of the largest memory to everything else, which may lie there."""
    return max(board.arenas.values()) // 2 // 16 * 16


def _needs(graph: Graph, data: bytes, board: Board, tflm: Tflm) -> Needs:
    """What TFLM needs, tried in QEMU with half of the largest memory."""
    target = stand_in(board)
    most = Needs(most_bytes(target), 0)
    with tempfile.TemporaryDirectory(prefix="mcunas-") as folder:
        with connect(build_tflm(graph, data, target, Path(folder), tflm, most, defines=("-DAPP_LEAST",))) as link:
            link.command("seed 0")
            link.infer()
            memory = link.memory()
            return Needs(memory.arena, memory.arena_used)


def _compile(work: Path, board: Board, tflm: Tflm, folders: tuple[str, ...], defines: tuple[str, ...]) -> None:
    root = firmware_dir().resolve()
    command = [tool("arm-none-eabi-g++"), *board.cflags, *LEVEL, *defines, "-std=c++17", "-g", "-fno-exceptions",
               "-fno-rtti", "-fno-threadsafe-statics", "-ffunction-sections", "-fdata-sections", "-DTF_LITE_STATIC_MEMORY",
               *tflm.defines, f"-ffile-prefix-map={root}=firmware", f"-ffile-prefix-map={work}=.", *tflm.includes,
               *(f"-I{root}/{name}" for name in ("kernels", "platform", *folders)), f"-I{work}", "-c", "engine.cc",
               "-o", "obj/model-engine.o"]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode == 0:
        return
    if "cstdint: No such file" in done.stderr or "new: No such file" in done.stderr:
        raise ToolMissing("the C++ headers for Arm are not installed", fix=(
            "on Debian: apt-get install libstdc++-arm-none-eabi-newlib"))
    raise InputError(f"TFLM's headers do not compile: {gist(done.stderr)}", str(tflm.root))
