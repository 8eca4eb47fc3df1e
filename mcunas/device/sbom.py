# SPDX-License-Identifier: Apache-2.0
"""What is in a firmware, as a CycloneDX 1.6 document (ECMA-424): every source and header that was compiled, the model, the
members of the toolchain's libraries that were linked, each with its SHA-256 and its licence.

Licences of sources are what their SPDX line says. The document has neither a serial number nor a date, so that the same
firmware has the same one.
"""
from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mcunas import __version__
from mcunas.paths import firmware_dir

NAME = "sbom.cdx.json"
_GNU = {"expression": "GPL-3.0-or-later WITH GCC-exception-3.1"}
_NEWLIB = {"license": {"name": "newlib's permissive licences (COPYING.NEWLIB)"}}
# Of the libraries that a firmware can be linked with, by the name of the file.
_LIBRARIES = {"libgcc.a": _GNU, "libstdc++.a": _GNU, "libsupc++.a": _GNU, "libc.a": _NEWLIB, "libm.a": _NEWLIB,
              "libnosys.a": _NEWLIB, "libtensorflow-microlite.a": {"expression": "Apache-2.0"}}
_SPDX = re.compile(rb"SPDX-License-Identifier: ([\w.+-]+(?: (?:WITH|AND|OR) [\w.+-]+)*)")
_INCLUDE = re.compile(r'^#include "(\S+)"', re.MULTILINE)
_MEMBER = re.compile(r"^(/.*\.a)\(([^()]+)\)$", re.MULTILINE)


def sources_sbom(name: str, kernels: Iterable[str], generated: Mapping[str, str]) -> str:
    """Of generated C (file name -> text) and the kernels that it calls, which have yet to be compiled."""
    found = with_headers([firmware_dir() / "kernels" / f"{kernel}.c" for kernel in kernels], generated.values())
    parts = [_own(path) for path in found] + [_file(file, text.encode(), "generated") for file, text in generated.items()]
    return _document({"type": "library", "name": name}, parts, [])


def image_sbom(name: str, board: str, work: Path, sources: Sequence[Path], compiler: str) -> str:
    """Of a firmware that was linked in `work` from `sources` of firmware/ and the generated files that lie there."""
    generated = sorted(path for suffix in ("*.c", "*.cc", "*.h", "*.ld") for path in work.glob(suffix))
    parts = [_own(path) for path in with_headers(sources, [path.read_text() for path in generated])]
    parts += [_file(path.name, path.read_bytes(), "generated") for path in generated]
    if (model := work / "model.tflite").exists():
        parts.append({"type": "machine-learning-model", "bom-ref": model.name, "name": model.name,
                      "hashes": _hashes(model.read_bytes())})
    parts += linked((work / "firmware.map").read_text())
    image = {"type": "firmware", "name": name, "description": f"firmware for {board}",
             "hashes": _hashes((work / "firmware.elf").read_bytes())}
    return _document(image, parts, [{"type": "application", "name": "arm-none-eabi-gcc", "version": compiler}])


def with_headers(sources: Iterable[Path], texts: Iterable[str]) -> list[Path]:
    """`sources` of firmware/ and the headers there that they and other C (`texts`) include, sorted."""
    root = firmware_dir().resolve()
    folders = [path for path in sorted(root.iterdir()) if path.is_dir()]
    found, pending = {path.resolve() for path in sources}, list(texts)
    pending += [path.read_text() for path in found]
    while pending:
        for name in _INCLUDE.findall(pending.pop()):
            for header in (folder / name for folder in folders):
                if header.exists() and header not in found:
                    found.add(header)
                    pending.append(header.read_text())
    return sorted(found)


def linked(linker_map: str) -> list[dict[str, Any]]:
    """The toolchain's libraries of which the linker took members."""
    members: dict[Path, list[str]] = {}
    for path, member in _MEMBER.findall(linker_map.partition("Discarded input sections")[0]):
        members.setdefault(Path(path), []).append(member)
    return [{"type": "library", "bom-ref": path.name, "name": path.name,
             "hashes": _hashes(path.read_bytes()), "licenses": [_LIBRARIES.get(path.name, {"license": {"name": "unknown"}})],
             "properties": [{"name": "mcunas:member", "value": member} for member in sorted(set(taken))]}
            for path, taken in sorted(members.items(), key=lambda item: item[0].name)]


def _own(path: Path) -> dict[str, Any]:
    relative = path.relative_to(firmware_dir().resolve())
    part = "header" if path.suffix == ".h" else "kernel" if relative.parts[0] == "kernels" else relative.parts[0]
    return _file(f"firmware/{relative.as_posix()}", path.read_bytes(), part)


def _file(name: str, content: bytes, part: str) -> dict[str, Any]:
    said = _SPDX.search(content)
    return {"type": "file", "bom-ref": name, "name": name, "hashes": _hashes(content),
            "licenses": [{"expression": said[1].decode()}] if said else [],
            "properties": [{"name": "mcunas:part", "value": part}]}


def _hashes(content: bytes) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}]


def _document(subject: dict[str, Any], parts: list[dict[str, Any]], tools: list[dict[str, Any]]) -> str:
    mcunas = {"type": "application", "name": "mcunas", "version": __version__,
              "licenses": [{"expression": "Apache-2.0"}]}
    subject = {"bom-ref": "image", **subject}
    document = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
                "metadata": {"tools": {"components": [mcunas, *tools]}, "component": subject},
                "components": parts,
                "dependencies": [{"ref": "image", "dependsOn": [part["bom-ref"] for part in parts]}]}
    return json.dumps(document, indent=1) + "\n"
