# SPDX-License-Identifier: Apache-2.0
"""Exports are built or checked in the world they are for: CMake by cmake, sketches as C++, the others by their rules."""
from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mcunas.board import Board
from mcunas.compiler import Compiled, compile_graph
from mcunas.device.export import FORMS, export
from mcunas.errors import InputError
from tests.small_models import dense

BOARD = Board.load("nucleo-l4r5zi")
STRICT = ("-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-c")


@pytest.fixture(scope="module")
def models() -> list[Compiled]:
    return [compile_graph(dense(40, 6), BOARD, model_id="first"), compile_graph(dense(24, 10), BOARD, model_id="second")]


@pytest.mark.parametrize("form", FORMS)
def test_an_export_is_self_contained(form: str, models, tmp_path: Path) -> None:
    """Every header is there, nothing points out of the folder, and all C compiles from inside it."""
    names = export(models, BOARD, form, tmp_path)
    assert sorted(names) == sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    include = next(folder for folder in (tmp_path / "include", tmp_path / "src") if (folder / "mn_model.h").exists())
    assert '#include "first.h"' in (tmp_path / "src/first.c").read_text()
    for source in sorted((tmp_path / "src").glob("*.c")):
        done = subprocess.run(["arm-none-eabi-gcc", *BOARD.cflags, *STRICT, f"-I{include}", str(source), "-o", "/dev/null"],
                              capture_output=True, text=True, check=False)
        assert done.stderr == ""
    for name in names:
        assert str(Path.home()) not in (tmp_path / name).read_text() and "/work/" not in (tmp_path / name).read_text()


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
def test_cmake_builds_it_for_the_boards_core(models, tmp_path: Path) -> None:
    export(models, BOARD, "cmake", tmp_path)
    generator = ("-G", "Ninja") if shutil.which("ninja") else ()
    for command in (["cmake", *generator, "-B", "build", "-DCMAKE_TOOLCHAIN_FILE=cmake/arm-none-eabi.cmake"],
                    ["cmake", "--build", "build"]):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    library = tmp_path / "build" / "libmcunas_models.a"
    symbols = subprocess.run(["arm-none-eabi-nm", "--defined-only", str(library)], capture_output=True, text=True).stdout
    assert all(re.search(rf" R mn_model_{name}$", symbols, re.MULTILINE) for name in ("first", "second"))


def test_two_models_live_in_one_image_without_a_clash(models, tmp_path: Path) -> None:
    export(models, BOARD, "cmake", tmp_path)
    main = tmp_path / "example/main.c"
    done = subprocess.run(["arm-none-eabi-gcc", *BOARD.cflags, "-std=c11", "-O2", "--specs=nosys.specs", "-Wl,--no-warnings",
                           f"-I{tmp_path}/include", str(main), *map(str, sorted((tmp_path / "src").glob("*.c"))),
                           "-o", str(tmp_path / "image.elf")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("form", ["arduino", "platformio"])
def test_a_sketch_is_cpp_and_takes_the_headers_as_they_are(form: str, models, tmp_path: Path) -> None:
    export(models, BOARD, form, tmp_path)
    (tmp_path / "Arduino.h").write_text(
        "#include <stdint.h>\n"
        "struct Port { void begin(long); template <class T> void print(T); template <class T> void println(T); };\n"
        "extern Port Serial;\nuint32_t micros();\nvoid delay(int);\nvoid setup();\nvoid loop();\n")
    folder = tmp_path / ("src" if form == "arduino" else "include")
    done = subprocess.run(["arm-none-eabi-g++", *BOARD.cflags, "-std=c++11", "-Wall", "-Wextra", "-Werror",
                           "-fno-exceptions", "-x", "c++", "-include", str(tmp_path / "Arduino.h"), f"-I{folder}", "-c",
                           str(tmp_path / "examples/Infer/Infer.ino"), "-o", str(tmp_path / "sketch.o")],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    symbols = subprocess.run(["arm-none-eabi-nm", str(tmp_path / "sketch.o")], capture_output=True, text=True).stdout
    assert " U mn_model_first" in symbols          # not mangled


def test_an_arduino_library_keeps_to_the_specification(models, tmp_path: Path) -> None:
    export(models, BOARD, "arduino", tmp_path)
    fields = dict(line.split("=", 1) for line in (tmp_path / "library.properties").read_text().splitlines())
    required = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"}
    assert required <= set(fields)
    assert re.fullmatch(r"[A-Za-z0-9][\w .-]{0,62}", fields["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", fields["version"])
    assert fields["category"] in ("Display", "Communication", "Signal Input/Output", "Sensors", "Device Control", "Timing",
                                  "Data Storage", "Data Processing", "Other")
    assert all((tmp_path / "src" / name).exists() for name in fields["includes"].split(","))
    assert all("\t" in line for line in (tmp_path / "keywords.txt").read_text().splitlines())
    for sketch in (tmp_path / "examples").iterdir():
        assert (sketch / f"{sketch.name}.ino").exists()


def test_a_zephyr_module_has_its_layout(models, tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml", reason="pyyaml is not installed")
    export(models, BOARD, "zephyr", tmp_path)
    module = yaml.safe_load((tmp_path / "zephyr/module.yml").read_text())
    assert (tmp_path / module["build"]["cmake"] / "CMakeLists.txt").exists()
    assert (tmp_path / module["build"]["kconfig"]).exists()
    lists = (tmp_path / "zephyr/CMakeLists.txt").read_text()
    named = re.findall(r"^\s+(\.\./src/\S+)$", lists, re.MULTILINE)
    there = {p.resolve() for p in (tmp_path / "src").glob("*.c")}
    assert {(tmp_path / "zephyr" / name).resolve() for name in named} == there
    symbol = re.search(r"^config (\w+)$", (tmp_path / "zephyr/Kconfig").read_text(), re.MULTILINE)[1]
    assert f"if(CONFIG_{symbol})" in lists and f"CONFIG_{symbol}=y" in (tmp_path / "samples/infer/prj.conf").read_text()


def test_a_platformio_library_names_files_that_exist(models, tmp_path: Path) -> None:
    export(models, BOARD, "platformio", tmp_path)
    library = json.loads((tmp_path / "library.json").read_text())
    assert all((tmp_path / library["build"]["includeDir"] / name).exists() for name in library["headers"])
    assert (tmp_path / library["build"]["srcDir"]).is_dir()
    assert all((tmp_path / e["base"] / f).exists() for e in library["examples"] for f in e["files"])


def test_a_packs_description_lists_every_file(models, tmp_path: Path) -> None:
    export(models, BOARD, "cmsis-pack-sources", tmp_path)
    (path,) = tmp_path.glob("*.pdsc")
    package = ElementTree.parse(path).getroot()
    assert path.name == f"{package.findtext('vendor')}.{package.findtext('name')}.pdsc"
    files = {file.get("name") for file in package.iter("file")}
    there = {str(p.relative_to(tmp_path)) for folder in ("src", "include") for p in (tmp_path / folder).iterdir()}
    assert files - {"include/"} == there
    assert [a.get("Dcore") for a in package.iter("accept")] == ["Cortex-M4"]


def test_a_zip_is_the_folder_and_the_same_every_time(models, tmp_path: Path) -> None:
    names = export(models, BOARD, "arduino", tmp_path / "lib.zip")
    first = (tmp_path / "lib.zip").read_bytes()
    export(models, BOARD, "arduino", tmp_path / "lib.zip")
    assert (tmp_path / "lib.zip").read_bytes() == first
    with zipfile.ZipFile(tmp_path / "lib.zip") as archive:
        assert sorted(archive.namelist()) == sorted(f"lib/{name}" for name in names)


def test_what_cannot_be_exported_is_said(models, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two models are named 'first'; rename one of the files"):
        export([models[0], models[0]], BOARD, "cmake", tmp_path)
    with pytest.raises(InputError, match="unknown form 'cmak'; did you mean 'cmake'"):
        export(models, BOARD, "cmak", tmp_path)
