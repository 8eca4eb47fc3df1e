# SPDX-License-Identifier: Apache-2.0
"""export: models with their kernels as a self-contained folder or zip for another build system.

The C is the one that `mcunas build` links. Several models share their kernels and live in one image; the caller gives each
its arena; where that is divided between memories, arenas.py says how the other parts get there. Nothing in the folder
refers to mcunas or to this machine.
"""
from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from mcunas.atomic import write_file, write_files
from mcunas.board import Board
from mcunas.compiler import OPTIMIZE, Compiled
from mcunas.device.export.arenas import SCRIPT, SOURCE, Part, parts, script, source
from mcunas.errors import InputError, did_you_mean
from mcunas.paths import firmware_dir

FORMS = ("cmake", "arduino", "zephyr", "platformio", "cmsis-pack-sources")
VERSION = "1.0.0"


@dataclass(frozen=True)
class Bundle:
    """name: a C identifier. headers, sources: file name -> text. flags: of the core, for arm-none-eabi-gcc."""

    name: str
    board: Board
    models: tuple[Compiled, ...]
    headers: dict[str, str]
    sources: dict[str, str]

    @property
    def parts(self) -> tuple[Part, ...]:
        """Of the arenas that lie in several memories."""
        return tuple(part for model in self.models for part in parts(model, self.board))

    @property
    def flags(self) -> tuple[str, ...]:
        return self.board.cflags

    @property
    def level(self) -> str:
        """Of the compiler's optimization: what the models were planned for."""
        return OPTIMIZE[self.models[0].optimize][0]

    @property
    def manifest(self) -> str:
        return json.dumps([model.manifest for model in self.models], indent=1) + "\n"


def export(models: Sequence[Compiled], board: Board, form: str, out: Path) -> tuple[str, ...]:
    """Write `models` to folder `out`, or to the file if it ends with .zip; the names of what was written.

    form: of FORMS. Raises InputError (unknown form, two models of one name, a model that is named like a kernel).
    """
    if form not in FORMS:
        raise InputError(f"unknown form {form!r}", "export", did_you_mean(form, FORMS))
    whole = bundle(models, board)
    files = _form(form)(whole)
    if whole.parts:
        files[("extras/" if form in ("arduino", "platformio") else "") + SCRIPT] = script(whole.parts)
    if out.suffix.lower() != ".zip":
        for name, text in files.items():
            write_files((out / name).parent, {Path(name).name: text})
        return tuple(files)
    memory = BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(f"{out.stem}/{name}", (1980, 1, 1, 0, 0, 0)), text)     # the same every time
    write_file(out, memory.getvalue())
    return tuple(files)


def bundle(models: Sequence[Compiled], board: Board) -> Bundle:
    """The models' C, each under its own name, and the kernels that any of them calls."""
    ids = [model.model_id for model in models]
    for model in models:
        if ids.count(model.model_id) > 1:
            raise InputError(f"two models are named {model.model_id!r}", "export", "rename one of the files")
    kernels = firmware_dir() / "kernels"
    sources = {f"{name}.c": (kernels / f"{name}.c").read_text() for name in sorted({k for m in models for k in m.kernels})}
    headers: dict[str, str] = {}
    _collect(kernels, [*sources.values(), '#include "mn_model.h"', '#include "mn_kernels.h"'], headers)
    for model in models:
        name = model.model_id
        if f"{name}.c" in sources or f"{name}.h" in headers or f"{name}.c" == SOURCE:
            raise InputError(f"a model is named {name!r}, like a file of the kernels'", "export", "rename its file")
        sources[f"{name}.c"] = model.model_c.replace('#include "model.h"', f'#include "{name}.h"')
        headers[f"{name}.h"] = model.model_h
    name = ids[0] if len(ids) == 1 else "mcunas_models"
    found = Bundle(name, board, tuple(models), dict(sorted(headers.items())), sources)
    if found.parts:
        sources[SOURCE] = source(found.parts)
    return found


def _collect(folder: Path, texts: Sequence[str], found: dict[str, str]) -> None:
    for text in texts:
        for name in re.findall(r'^#include "(\w+\.h)"', text, re.MULTILINE):
            if name not in found and (folder / name).exists():
                found[name] = (folder / name).read_text()
                _collect(folder, [found[name]], found)


def _form(form: str) -> Callable[[Bundle], dict[str, str]]:
    from mcunas.device.export import arduino, cmake, pack, zephyr

    return {"cmake": cmake.files, "arduino": arduino.arduino, "platformio": arduino.platformio, "zephyr": zephyr.files,
            "cmsis-pack-sources": pack.files}[form]
