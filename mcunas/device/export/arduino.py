# SPDX-License-Identifier: Apache-2.0
"""An Arduino library (Arduino Library Specification 1.5) and a PlatformIO library (library.json), with one sketch."""
from __future__ import annotations

import json

from mcunas.device.export import VERSION, Bundle
from mcunas.device.export.common import LICENSE, example, readme, under

_PROPERTIES = """\
name={name}
version={version}
author=mcunas
maintainer=mcunas
sentence=Int8 neural networks as plain C: {models}.
paragraph=Generated for {cpu}. The sketch gives each model its arena, without malloc.
category=Data Processing
url=https://example.com/{name}
architectures=*
includes={includes}
"""
_SKETCH = """
void setup() {{
  Serial.begin(115200);
}}

void loop() {{
{calls}  delay(1000);
}}
"""
_CALL = """\
  const uint32_t start_{id} = micros();
  const int8_t first_{id} = run_{id}();
  Serial.print("{id}: ");
  Serial.print(first_{id});
  Serial.print(" in us ");
  Serial.println(micros() - start_{id});
"""


def arduino(bundle: Bundle) -> dict[str, str]:
    """Path -> text."""
    ids = [model.model_id for model in bundle.models]
    return {
        "library.properties": _PROPERTIES.format(
            name=bundle.name, version=VERSION, models=", ".join(ids), cpu=bundle.board.cpu,
            includes=",".join(f"{i}.h" for i in ids)),
        "keywords.txt": "".join(f"mn_model_{i}\tKEYWORD1\n" for i in ids),
        "examples/Infer/Infer.ino": _sketch(bundle),
        "README.md": readme(bundle, "Unpack it into the sketchbook's `libraries`, or add the zip from the IDE's menu."),
        "LICENSE.txt": LICENSE, "extras/manifest.json": bundle.manifest,
        **under("src", bundle.sources), **under("src", bundle.headers),
    }


def platformio(bundle: Bundle) -> dict[str, str]:
    """Path -> text."""
    library = {"name": bundle.name, "version": VERSION, "description": "Int8 neural networks as plain C.",
               "license": "Apache-2.0", "frameworks": "*", "platforms": "*",
               "headers": [f"{model.model_id}.h" for model in bundle.models],
               "build": {"srcDir": "src", "includeDir": "include", "flags": ["-std=gnu11", bundle.level]},
               "examples": [{"name": "Infer", "base": "examples/Infer", "files": ["Infer.ino"]}]}
    return {
        "library.json": json.dumps(library, indent=2) + "\n", "examples/Infer/Infer.ino": _sketch(bundle),
        "README.md": readme(bundle, "Put the folder into the project's `lib`, or name it in `lib_deps`."),
        "LICENSE.txt": LICENSE, "extras/manifest.json": bundle.manifest,
        **under("src", bundle.sources), **under("include", bundle.headers),
    }


def _sketch(bundle: Bundle) -> str:
    calls = "".join(_CALL.format(id=model.model_id) for model in bundle.models)
    return example(bundle) + _SKETCH.format(calls=calls)
