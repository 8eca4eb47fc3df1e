# SPDX-License-Identifier: Apache-2.0
"""One target under atheris, in a process of its own: python -m tests.fuzz.child TARGET [libFuzzer's arguments]."""
from __future__ import annotations

import sys
from importlib import import_module

import atheris

from tests.fuzz.text import changed


def main() -> None:
    name, *arguments = sys.argv[1:]
    with atheris.instrument_imports(include=["mcunas", "tomllib", "flatbuffers"]):
        target = import_module(f"tests.fuzz.{name}")

    def mutated(data: bytes, most_bytes: int, seed: int) -> bytes:
        return changed(data, most_bytes, seed) if seed % 2 else atheris.Mutate(data, most_bytes)

    own = {"custom_mutator": mutated} if name in ("board", "genotype") else {}
    atheris.Setup([name, *arguments], target.once, **own)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
