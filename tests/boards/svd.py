# SPDX-License-Identifier: Apache-2.0
"""What a vendor's CMSIS-SVD file says of a chip: which registers are at an address, and the bits of their fields.

Registers in arrays and clusters are written out; a derived peripheral or register has what it derives from.
"""
from __future__ import annotations

import os
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element


@dataclass(frozen=True)
class Register:
    """fields: name -> mask."""

    peripheral: str
    name: str
    fields: dict[str, int] = field(default_factory=dict)


class Svd:
    """registers: address -> what the file has there. bases: address -> peripherals that begin there."""

    def __init__(self, data: bytes) -> None:
        self.registers: dict[int, list[Register]] = defaultdict(list)
        self.bases: dict[int, list[str]] = defaultdict(list)
        peripherals = {p.findtext("name", ""): p for p in ElementTree.fromstring(data).iter("peripheral")}
        for name, peripheral in peripherals.items():
            base, origin = _number(peripheral, "baseAddress"), peripherals.get(peripheral.get("derivedFrom", ""), peripheral)
            self.bases[base].append(name)
            found: dict[str, dict[str, int]] = {}
            for part in (origin, peripheral):
                block = part.find("registers")
                for title, offset, element in _flat(block) if block is not None else ():
                    fields = found[title] = _fields(element) or found.get(element.get("derivedFrom", ""), {})
                    self.registers[base + offset].append(Register(name, title, fields))

    def at(self, address: int, name: str) -> Register | None:
        """The register at that address, if the file calls it alike: RCC_CR, CR, CR1_FIFO_ENABLED, GPIO0_CTRL, AFRL."""
        words = name.split("_")
        tails = [_plain("".join(words[k:])) for k in range(len(words))]
        for one in self.registers.get(address, ()):
            theirs = _plain(one.name)
            if tails[0].endswith(theirs) or any(theirs.startswith(tail) or theirs.endswith(tail) for tail in tails):
                return one
        return None


def find(name: str) -> bytes | None:
    """The file from the folder MCUNAS_SVD, or from what comes with pyOCD."""
    folder = os.environ.get("MCUNAS_SVD")
    for path in Path(folder).rglob(name) if folder else ():
        return path.read_bytes()
    import pyocd

    with zipfile.ZipFile(Path(pyocd.__file__).parent / "debug/svd/svd_data.zip") as archive:
        return archive.read(name) if name in archive.namelist() else None


def _flat(block: Element, prefix: str = "", start: int = 0) -> Iterator[tuple[str, int, Element]]:
    for element in chain(block.findall("register"), block.findall("cluster")):
        name = prefix + element.findtext("name", "").replace("[%s]", "%s")
        for text, offset in _copies(element):
            at = start + _number(element, "addressOffset") + offset
            if element.tag == "cluster":
                yield from _flat(element, name.replace("%s", text) + "_", at)
            else:
                yield name.replace("%s", text), at, element


def _copies(element: Element) -> list[tuple[str, int]]:
    """(what stands for %s, bytes from the first) of each element of an array; one of what is none."""
    if element.find("dim") is None:
        return [("", 0)]
    count, step, index = _number(element, "dim"), _number(element, "dimIncrement"), element.findtext("dimIndex", "")
    names = index.split(",") if "," in index else [str(i) for i in range(count)]
    return [(name, i * step) for i, name in enumerate(names)]


def _fields(register: Element) -> dict[str, int]:
    found = {}
    for one in register.iter("field"):
        if (bits := one.findtext("bitRange")) is not None:
            high, low = map(int, re.findall(r"\d+", bits))
        elif one.find("lsb") is not None:
            low, high = _number(one, "lsb"), _number(one, "msb")
        else:
            low = _number(one, "bitOffset")
            high = low + (_number(one, "bitWidth") if one.find("bitWidth") is not None else 1) - 1
        found[one.findtext("name", "")] = (1 << high + 1) - (1 << low)
    return found


def _number(element: Element, tag: str) -> int:
    return int(element.findtext(tag, "0").strip().removeprefix("#"), 0)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).upper()
