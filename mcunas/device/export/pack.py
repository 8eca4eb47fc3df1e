# SPDX-License-Identifier: Apache-2.0
"""The sources of a CMSIS pack: a package description (.pdsc) with one component; packchk and a zip make the pack of it."""
from __future__ import annotations

from xml.sax.saxutils import quoteattr

from mcunas.device.export import VERSION, Bundle
from mcunas.device.export.common import LICENSE, example, readme, under

_PDSC = """\
<?xml version="1.0" encoding="UTF-8"?>
<package schemaVersion="1.7.7" xmlns:xs="http://www.w3.org/2001/XMLSchema-instance" xs:noNamespaceSchemaLocation="PACK.xsd">
  <vendor>mcunas</vendor>
  <name>{name}</name>
  <description>Int8 neural networks as plain C: {models}</description>
  <url>https://example.com/</url>
  <license>LICENSE.txt</license>
  <releases>
    <release version="{version}" date="2026-01-01">Generated</release>
  </releases>
  <conditions>
    <condition id="Core">
      <accept Dcore={core}/>
    </condition>
  </conditions>
  <components>
    <component Cclass="Machine Learning" Cgroup="Model" Csub="{name}" Cversion="{version}" condition="Core">
      <description>Models and their kernels</description>
      <files>
        <file category="include" name="include/"/>
{files}      </files>
    </component>
  </components>
</package>
"""
_MAIN = """
int main(void) {{
  int sum = 0;
{calls}  return sum;
}}
"""
_CORES = {"cortex-m0": "Cortex-M0", "cortex-m0plus": "Cortex-M0+", "cortex-m3": "Cortex-M3", "cortex-m4": "Cortex-M4",
          "cortex-m7": "Cortex-M7", "cortex-m33": "Cortex-M33", "cortex-m55": "Cortex-M55"}


def files(bundle: Bundle) -> dict[str, str]:
    """Path -> text."""
    listed = "".join(f'        <file category="source" name="src/{name}"/>\n' for name in bundle.sources)
    listed += "".join(f'        <file category="header" name="include/{name}"/>\n' for name in bundle.headers)
    calls = "".join(f"  sum += run_{model.model_id}();\n" for model in bundle.models)
    return {
        f"mcunas.{bundle.name}.pdsc": _PDSC.format(name=bundle.name, version=VERSION, files=listed,
                                                   models=", ".join(m.model_id for m in bundle.models),
                                                   core=quoteattr(_CORES.get(bundle.board.cpu, "*"))),
        "example/main.c": example(bundle) + _MAIN.format(calls=calls),
        "README.md": readme(bundle, "Check it with `packchk` and zip the folder to a `.pack`, or add it as a local pack."),
        "LICENSE.txt": LICENSE, "manifest.json": bundle.manifest,
        **under("src", bundle.sources), **under("include", bundle.headers),
    }
