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

import numpy as np
import pytest

from mcunas.board import Board
from mcunas.compiler import Compiled, compile_graph
from mcunas.cost.measure_code import chain
from mcunas.device.export import FORMS, export
from mcunas.errors import InputError
from mcunas.graph import write_tflite
from mcunas.graph.oracle import Oracle
from tests.device.test_memories import split_board
from tests.small_models import dense

BOARD = Board.load("nucleo-l4r5zi")
STRICT = ("-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-c")


@pytest.fixture(scope="module")
def models() -> list[Compiled]:
    return [compile_graph(dense(40, 6), BOARD, model_id="first"), compile_graph(dense(24, 10), BOARD, model_id="second")]


@pytest.fixture(scope="module")
def divided(tmp_path_factory: pytest.TempPathFactory) -> tuple[Board, list[Compiled]]:
    """A board with two memories and two models: the second fits neither memory alone."""
    small, large = dense(40, 6), chain(("CONV_2D", "FULLY_CONNECTED", "FULLY_CONNECTED"), 4, (4, 8, 100, 10))
    alone = compile_graph(large, Board.load("mps2-an500")).plan.arena_bytes
    board = split_board(tmp_path_factory.mktemp("board"), fast=alone * 2 // 3, slow=alone * 3 // 4)
    models = [compile_graph(small, board, model_id="first"), compile_graph(large, board, model_id="second")]
    assert [sum(size > 0 for size in model.plan.region_bytes) for model in models] == [1, 2]
    return board, models


@pytest.mark.parametrize("several", [False, True], ids=["one memory", "two memories"])
@pytest.mark.parametrize("form", FORMS)
def test_an_export_is_self_contained(form: str, several: bool, models, divided, tmp_path: Path) -> None:
    """Every header is there, nothing points out of the folder, and all C compiles from inside it."""
    board, models = divided if several else (BOARD, models)
    names = export(models, board, form, tmp_path)
    assert sorted(names) == sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    include = next(folder for folder in (tmp_path / "include", tmp_path / "src") if (folder / "mn_model.h").exists())
    assert '#include "first.h"' in (tmp_path / "src/first.c").read_text()
    for source in sorted((tmp_path / "src").glob("*.c")):
        done = subprocess.run(["arm-none-eabi-gcc", *board.cflags, *STRICT, f"-I{include}", str(source), "-o", "/dev/null"],
                              capture_output=True, text=True, check=False)
        assert done.stderr == ""
    for name in names:
        assert str(Path.home()) not in (tmp_path / name).read_text() and "/work/" not in (tmp_path / name).read_text()


def cmake(folder: Path) -> Path:
    """Configure and build what was exported there, with its own toolchain file; the library."""
    generator = ("-G", "Ninja") if shutil.which("ninja") else ()
    for command in (["cmake", *generator, "-B", "build", "-DCMAKE_TOOLCHAIN_FILE=cmake/arm-none-eabi.cmake"],
                    ["cmake", "--build", "build"]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "build/libmcunas_models.a"


needs_cmake = pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")


@needs_cmake
def test_cmake_builds_it_for_the_boards_core(models, tmp_path: Path) -> None:
    export(models, BOARD, "cmake", tmp_path)
    library = cmake(tmp_path)
    symbols = subprocess.run(["arm-none-eabi-nm", "--defined-only", str(library)], capture_output=True, text=True).stdout
    assert all(re.search(rf" R mn_model_{name}$", symbols, re.MULTILINE) for name in ("first", "second"))


_MAIN = """
#include <string.h>
#include "first.h"
#include "second.h"
extern uint8_t stack_top[];
static const uint8_t input[] = {%(input)s}, expected_first[] = {%(first)s}, expected_second[] = {%(second)s};
static uint8_t arena_first[MN_FIRST_ARENA_BYTES] __attribute__((aligned(MN_ARENA_ALIGN)));
static uint8_t arena_second[MN_SECOND_ARENA_BYTES] __attribute__((aligned(MN_ARENA_ALIGN), section(".bss.mn_sram")));
static int wrong(const struct mn_model *model, uint8_t *arena, const uint8_t *expected) {
  memcpy(arena + model->input[0].offset, input, model->input[0].bytes);
  model->invoke(arena);
  return memcmp(arena + model->output[0].offset, expected, model->output[0].bytes) != 0;
}
void reset_handler(void) {
  const uint32_t status = wrong(&mn_model_first, arena_first, expected_first) |
                          wrong(&mn_model_second, arena_second, expected_second) << 1;
  const uint32_t leave[] = {0x20026u, status};
  __asm volatile("mov r0, #0x20\\n mov r1, %%0\\n bkpt 0xAB" ::"r"(leave) : "r0", "r1", "memory");
}
__attribute__((section(".vectors"), used)) static const void *const vectors[2] = {stack_top, (void *)reset_handler};
"""
_SCRIPT = """
MEMORY {
  code (rx) : ORIGIN = 0, LENGTH = 1M
  dtcm (rw) : ORIGIN = 0x20000000, LENGTH = 4K
  sram (rw) : ORIGIN = 0x20010000, LENGTH = 16K
}
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text* .rodata*) } > code
  INCLUDE mn_arenas.ld
  .bss (NOLOAD) : { *(.bss* COMMON) . = ALIGN(8) + 4096; stack_top = .; } > sram
  /DISCARD/ : { *(.ARM.exidx* .ARM.extab*) }
}
"""


@needs_cmake
def test_arenas_in_two_memories_are_placed_by_the_callers_script_and_give_the_same_bytes(divided, tmp_path: Path) -> None:
    """cmake's library, a program and a linker script of one's own, run in QEMU; then a script that knows nothing of them."""
    board, models = divided
    export(models, board, "cmake", tmp_path)
    data = np.arange(4 * 64, dtype=np.int8) * 7
    texts = {"input": ", ".join(map(str, data.view(np.uint8)))}
    for model in models:
        given = data[:model.graph.tensors[model.graph.inputs[0]].elements]
        (output,) = Oracle(model.graph, write_tflite(model.graph)).outputs([given.reshape(
            model.graph.tensors[model.graph.inputs[0]].shape)])
        texts[model.model_id] = ", ".join(map(str, output.ravel().view(np.uint8)))
    (tmp_path / "main.c").write_text(_MAIN % texts)
    for name, script in (("divided", _SCRIPT), ("plain", _SCRIPT.replace("  INCLUDE mn_arenas.ld\n", ""))):
        (tmp_path / "link.ld").write_text(script)
        done = subprocess.run(["arm-none-eabi-gcc", *board.cflags, "-std=gnu11", "-O2", "-ffreestanding", "-nostartfiles",
                               "-Iinclude", "-Tlink.ld", "-Wl,-e,reset_handler", "main.c", str(cmake(tmp_path)), "-o", name],
                              cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert subprocess.run(["qemu-system-arm", "-machine", "mps2-an500", "-nographic", "-semihosting-config",
                               "enable=on,target=native", "-kernel", name], cwd=tmp_path, timeout=300).returncode == 0
        symbols = subprocess.run(["arm-none-eabi-nm", name], cwd=tmp_path, capture_output=True, text=True).stdout
        at = {found[2]: int(found[1], 16) for found in re.finditer(r"^(\w+) . (\w+)$", symbols, re.MULTILINE)}
        assert at["arena_second"] >= 0x20010000
        assert (at["mn_second_arena_0"] < 0x20001000) is (name == "divided")


def test_two_models_live_in_one_image_without_a_clash(models, tmp_path: Path) -> None:
    export(models, BOARD, "cmake", tmp_path)
    main = tmp_path / "example/main.c"
    done = subprocess.run(["arm-none-eabi-gcc", *BOARD.cflags, "-std=c11", "-O2", "--specs=nosys.specs", "-Wl,--no-warnings",
                           f"-I{tmp_path}/include", str(main), *map(str, sorted((tmp_path / "src").glob("*.c"))),
                           "-o", str(tmp_path / "image.elf")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("several", [False, True], ids=["one memory", "two memories"])
@pytest.mark.parametrize("form", ["arduino", "platformio"])
def test_a_sketch_is_cpp_and_takes_the_headers_as_they_are(form, several, models, divided, tmp_path: Path) -> None:
    board, models = divided if several else (BOARD, models)
    export(models, board, form, tmp_path)
    (tmp_path / "Arduino.h").write_text(
        "#include <stdint.h>\n"
        "struct Port { void begin(long); template <class T> void print(T); template <class T> void println(T); };\n"
        "extern Port Serial;\nuint32_t micros();\nvoid delay(int);\nvoid setup();\nvoid loop();\n")
    folder = tmp_path / ("src" if form == "arduino" else "include")
    done = subprocess.run(["arm-none-eabi-g++", *board.cflags, "-std=c++11", "-Wall", "-Wextra", "-Werror",
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


def test_a_zephyr_module_asks_for_the_section_of_a_memory(divided, tmp_path: Path) -> None:
    board, models = divided
    export(models, board, "zephyr", tmp_path)
    kconfig, lists = ((tmp_path / "zephyr" / name).read_text() for name in ("Kconfig", "CMakeLists.txt"))
    assert 'config MCUNAS_MN_SECOND_ARENA_0_SECTION\n\tstring' in kconfig and '\tdefault ".bss.mn_dtcm"' in kconfig
    macro = re.search(r'compile_definitions\((\w+)="\$\{CONFIG_MCUNAS_\1}"\)', lists)[1]
    assert f"#ifndef {macro}\n" in (tmp_path / "src/mn_arenas.c").read_text()


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


@pytest.mark.parametrize(("goal", "level"), [("flash", "-Os"), ("cycles", "-O3")])
def test_a_build_of_ones_own_keeps_the_goal_of_the_compilation(goal: str, level: str, tmp_path: Path) -> None:
    model = compile_graph(dense(40, 6), BOARD, goal, model_id="first")
    for form, file in (("cmake", "CMakeLists.txt"), ("zephyr", "zephyr/CMakeLists.txt"), ("platformio", "library.json")):
        export([model], BOARD, form, tmp_path / form)
        assert re.findall(r"-O\w", (tmp_path / form / file).read_text()) == [level]


def test_what_cannot_be_exported_is_said(models, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two models are named 'first'; rename one of the files"):
        export([models[0], models[0]], BOARD, "cmake", tmp_path)
    like_a_kernel = compile_graph(dense(40, 6), BOARD, model_id=models[0].kernels[0])
    with pytest.raises(InputError, match="like a file of the kernels'; rename its file"):
        export([like_a_kernel], BOARD, "cmake", tmp_path)
    with pytest.raises(InputError, match="unknown form 'cmak'; did you mean 'cmake'"):
        export(models, BOARD, "cmak", tmp_path)
