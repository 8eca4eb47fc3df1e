# SPDX-License-Identifier: Apache-2.0
"""A Zephyr module (Zephyr's documentation, "Modules"): zephyr/module.yml, CMakeLists.txt, Kconfig, and a sample."""
from __future__ import annotations

from mcunas.device.export import Bundle
from mcunas.device.export.common import LICENSE, example, readme, under

_MODULE = """\
name: {name}
build:
  cmake: zephyr
  kconfig: zephyr/Kconfig
samples:
  - samples
"""
_KCONFIG = """\
config {symbol}
\tbool "Neural networks of {name}"
\thelp
\t  Int8 neural networks as plain C: {models}.
"""
_SECTION = """\

config {symbol}
\tstring "Section of {part.array}"
\tdefault "{part.section}"
\tdepends on {parent}
\thelp
\t  {part.size_bytes} bytes that were planned for the memory {part.memory}: the name of the section
\t  that your board has for it, as of a zephyr,memory-region.
"""
_LISTS = """\
if(CONFIG_{symbol})
  zephyr_library_named({name})
  zephyr_library_sources(
{sources}  )
  zephyr_library_compile_options({level})
{sections}  zephyr_include_directories(${{CMAKE_CURRENT_SOURCE_DIR}}/../include)
endif()
"""
_SAMPLE_LISTS = """\
cmake_minimum_required(VERSION 3.20.0)
list(APPEND ZEPHYR_EXTRA_MODULES ${{CMAKE_CURRENT_SOURCE_DIR}}/../..)
find_package(Zephyr REQUIRED HINTS $ENV{{ZEPHYR_BASE}})
project({name}_infer)
target_sources(app PRIVATE src/main.c)
"""
_MAIN = """
#include <zephyr/sys/printk.h>

int main(void) {{
{calls}  return 0;
}}
"""


def files(bundle: Bundle) -> dict[str, str]:
    """Path -> text."""
    name, symbol = bundle.name, f"MCUNAS_{bundle.name.upper()}"
    ids = [model.model_id for model in bundle.models]
    sources = "".join(f"    ../src/{s}\n" for s in bundle.sources)
    own = [part for part in bundle.parts if not part.is_home]
    calls = "".join(f'  printk("{i}: %d\\n", run_{i}());\n' for i in ids)
    return {
        "zephyr/module.yml": _MODULE.format(name=name),
        "zephyr/Kconfig": _KCONFIG.format(symbol=symbol, name=name, models=", ".join(ids)) + "".join(
            _SECTION.format(symbol=f"MCUNAS_{part.macro}", parent=symbol, part=part) for part in own),
        "zephyr/CMakeLists.txt": _LISTS.format(
            symbol=symbol, name=name, sources=sources, level=bundle.level, sections="".join(
                f'  zephyr_library_compile_definitions({part.macro}="${{CONFIG_MCUNAS_{part.macro}}}")\n' for part in own)),
        "samples/infer/CMakeLists.txt": _SAMPLE_LISTS.format(name=name),
        "samples/infer/prj.conf": f"CONFIG_{symbol}=y\nCONFIG_PRINTK=y\n",
        "samples/infer/sample.yaml": f"sample:\n  name: {name}\ntests:\n  {name}.infer:\n    build_only: true\n",
        "samples/infer/src/main.c": example(bundle) + _MAIN.format(calls=calls),
        "README.md": readme(bundle, f"Add the folder to `ZEPHYR_EXTRA_MODULES`, and set `CONFIG_{symbol}=y`."),
        "LICENSE.txt": LICENSE, "manifest.json": bundle.manifest,
        **under("src", bundle.sources), **under("include", bundle.headers),
    }
