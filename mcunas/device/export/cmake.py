# SPDX-License-Identifier: Apache-2.0
"""A CMake project: a static library, an example, and a toolchain file for the board's core."""
from __future__ import annotations

from mcunas.device.export import VERSION, Bundle
from mcunas.device.export.common import LICENSE, example, readme, under

_LISTS = """\
cmake_minimum_required(VERSION 3.16)
project({name} VERSION {version} LANGUAGES C)

add_library({name} STATIC
{sources})
target_include_directories({name} PUBLIC include)
target_compile_features({name} PUBLIC c_std_11)
target_compile_options({name} PRIVATE {level} -ffunction-sections -fdata-sections)

if(PROJECT_IS_TOP_LEVEL OR CMAKE_SOURCE_DIR STREQUAL CMAKE_CURRENT_SOURCE_DIR)
  add_library({name}_example OBJECT example/main.c)
  target_link_libraries({name}_example PRIVATE {name})
endif()
"""
_TOOLCHAIN = """\
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_CXX_COMPILER arm-none-eabi-g++)
set(CMAKE_C_FLAGS_INIT "{flags}")
set(CMAKE_CXX_FLAGS_INIT "{flags} -fno-exceptions -fno-rtti")
"""
_MAIN = """
int main(void) {{
  int sum = 0;
{calls}  return sum;
}}
"""
_USE = """\
`cmake -B build -DCMAKE_TOOLCHAIN_FILE=cmake/arm-none-eabi.cmake && cmake --build build`, or from a project of your own
`add_subdirectory({name})` and `target_link_libraries(app {name})`."""


def files(bundle: Bundle) -> dict[str, str]:
    """Path -> text."""
    name = bundle.name
    sources = "".join(f"  src/{s}\n" for s in bundle.sources)
    calls = "".join(f"  sum += run_{model.model_id}();\n" for model in bundle.models)
    return {
        "CMakeLists.txt": _LISTS.format(name=name, version=VERSION, level=bundle.level, sources=sources),
        "cmake/arm-none-eabi.cmake": _TOOLCHAIN.format(flags=" ".join(bundle.flags)),
        "example/main.c": example(bundle) + _MAIN.format(calls=calls),
        "README.md": readme(bundle, _USE.format(name=name)), "LICENSE.txt": LICENSE, "manifest.json": bundle.manifest,
        **under("src", bundle.sources), **under("include", bundle.headers),
    }
