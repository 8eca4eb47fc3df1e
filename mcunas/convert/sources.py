# SPDX-License-Identifier: Apache-2.0
"""What kind of model a path is, by its content: the ending says little, and a wrong guess ends in a page of errors."""
from __future__ import annotations

import re
from pathlib import Path

from mcunas.errors import InputError

_FIX = "give an .onnx, .keras, .h5 or float .tflite file, a SavedModel folder, or module:function of a torch module"
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def kind_of(path: Path) -> str:
    """"tflite", "onnx", "keras", "saved_model", or "torch" for a module:function. Raises InputError."""
    if _FUNCTION.fullmatch(str(path)) and not path.exists():
        return "torch"
    try:
        if path.is_dir():
            if (path / "saved_model.pb").is_file():
                return "saved_model"
            raise InputError("is a folder without saved_model.pb", str(path), _FIX)
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", str(path), _FIX) from None
    if head[4:8] == b"TFL3":
        return "tflite"
    if head.startswith((b"\x89HDF\r\n\x1a\n", b"PK\x03\x04")):
        if path.suffix in (".pt", ".pth", ".pt2", ".npz"):
            raise InputError(f"a {path.suffix} file holds no network that can be run without its Python code", str(path),
                             "export it with torch.onnx.export")
        return "keras"
    if path.suffix == ".onnx":
        return "onnx"
    raise InputError("is no model of a known kind", str(path), _FIX)
