# SPDX-License-Identifier: Apache-2.0
"""genotype.json: any text is a genotype that names a network within bounds, read again as it was written, or one line."""
from __future__ import annotations

import json
import tempfile
from pathlib import Path

from mcunas.errors import McunasError
from mcunas.space import Genotype
from mcunas.space.space import of_genotype
from tests.fuzz.text import words_of

BYTES = 3000
_TEMPORARY = tempfile.TemporaryDirectory(prefix="mcunas-fuzz-")
_FILE = Path(_TEMPORARY.name) / "genotype.json"


def seeds() -> tuple[bytes, ...]:
    found = [Genotype("residual", {"widths": [8, 12]}, (16, 16, 3), 10, {"conv1": 7, "stages.0.conv2": 3}),
             Genotype("separable", {}, (49, 10, 1), 12, {}, {"s0_1": "skip", "s0_0": "conv3", "s1_0": "ghost"}),
             Genotype("plain", {"stem": 4}, (8, 8, 1), 10, {}, {}, {"blocks.0": 5})]
    inline = {"input": {"height": [8, 64], "width": [8, 64]}, "stem": {"kernel": [3, 3], "channels": 8, "stride": [1, 1]},
              "stages": [{"channels": 8, "stride": 2, "slots": 2, "options": ["conv3", "skip"]}], "head": "classes"}
    found.append(Genotype("space", inline, (16, 16, 1), 10, {"s0": 12}, {"s0_0": "conv3", "s0_1": "skip"}))
    return tuple(json.dumps(genotype.fields(), indent=1).encode() for genotype in found)


WORDS = (*words_of(seeds()), b"1e999", b"NaN", b"-1", b"null", b"[[[[[[[[", b'"images"', b'"space"', b'"a:b"')


def once(data: bytes) -> None:
    _FILE.write_bytes(data)
    try:
        genotype = Genotype.load(_FILE)
    except McunasError as error:
        assert "\n" not in str(error)
        return
    again = Genotype.of_fields(json.loads(genotype.to_json()))
    assert again == genotype and again.key == genotype.key and hash(again) == hash(genotype)
    if genotype.is_of_space:
        try:
            space = of_genotype(genotype)
        except McunasError as error:
            assert "\n" not in str(error)
            return
        assert len(space.slots) <= 10_000
