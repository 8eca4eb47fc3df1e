# SPDX-License-Identifier: Apache-2.0
"""The bill of materials names what is in the firmware: all of it, with the bytes and the licence that it was built from."""
from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import mcunas
from mcunas.board import Board
from mcunas.compiler import compile_graph
from mcunas.device import sbom
from mcunas.graph import write_tflite
from mcunas.paths import firmware_dir
from tests.small_models import dense


def parts(text: str) -> dict[str, dict[str, Any]]:
    """name -> component, of a document that says of each of them that the image holds it."""
    document = json.loads(text)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    found = {part["name"]: part for part in document["components"]}
    assert [part["bom-ref"] for part in document["components"]] == list(found) == document["dependencies"][0]["dependsOn"]
    return found


def sha256(part: dict[str, Any]) -> str:
    (one,) = part["hashes"]
    assert one["alg"] == "SHA-256"
    return one["content"]


def test_every_object_that_was_linked_has_its_source_hash_and_licence(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(write_tflite(dense(8, 4)))
    image = mcunas.build(tmp_path / "model.tflite", "mps2-an386", tmp_path / "out")
    text = (image.folder / sbom.NAME).read_text()
    found, linked = parts(text), (image.folder / "firmware.map").read_text()
    sources = {re.sub(r"\.c$", "", Path(name).name): name for name in found if name.endswith(".c")}
    objects = re.findall(r"^LOAD obj/([\w-]+)\.o$", linked, re.MULTILINE)
    assert {name.partition("-")[2] for name in objects} == set(sources) and len(objects) > 12
    for name, part in found.items():
        folder = firmware_dir().parent if name.startswith("firmware/") else image.folder
        if part["type"] == "file":
            assert sha256(part) == hashlib.sha256((folder / name).read_bytes()).hexdigest(), name
            assert part["licenses"] == [{"expression": "Apache-2.0"}], name
    assert sha256(found["model.tflite"]) == hashlib.sha256((tmp_path / "model.tflite").read_bytes()).hexdigest()
    members = {entry["value"] for name in found if name.endswith(".a") for entry in found[name]["properties"]}
    assert members == set(re.findall(r"^/\S+\.a\((\S+)\)$", linked, re.MULTILINE)) and members
    assert json.loads(text)["metadata"]["component"]["hashes"] == [
        {"alg": "SHA-256", "content": hashlib.sha256(image.elf.read_bytes()).hexdigest()}]
    assert str(tmp_path) not in text and str(firmware_dir().parent) not in text


def test_what_compile_names_is_all_that_its_c_needs(tmp_path: Path) -> None:
    """The named files, and nothing else of mcunas, compile."""
    board = Board.load("mps2-an386")
    compiled = compile_graph(dense(8, 4), board)
    texts = {"model.c": compiled.model_c, "model.h": compiled.model_h}
    found = parts(sbom.sources_sbom("dense", compiled.kernels, texts))
    for name in found:
        (tmp_path / Path(name).name).write_text(texts[name] if name in texts else (firmware_dir().parent / name).read_text())
    kernels = [Path(name).stem for name, part in found.items() if part["properties"][0]["value"] == "kernel"]
    assert tuple(kernels) == compiled.kernels
    subprocess.run(["arm-none-eabi-gcc", *board.cflags, "-std=c11", "-masm-syntax-unified", "-fsyntax-only",
                    *(f"{name}.c" for name in ("model", *kernels))], cwd=tmp_path, check=True)


def test_a_library_nobody_knows_has_an_unknown_licence(tmp_path: Path) -> None:
    library = tmp_path / "libmine.a"
    library.write_bytes(b"!<arch>\n")
    (part,) = sbom.linked(f"Archive member included\n\n{library}(one.o)\n  obj/x.o (one)\n\nDiscarded input sections\n")
    assert part["licenses"] == [{"license": {"name": "unknown"}}] and part["properties"][0]["value"] == "one.o"
