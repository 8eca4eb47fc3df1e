# SPDX-License-Identifier: Apache-2.0
"""A search's progress as TensorBoard event files, written here because the format is small and the package is not.

A file is TFRecords (length, masked CRC-32C of it, data, masked CRC-32C of that, little-endian) of `Event` messages:
wall_time = field 1 (double), step = 2 (varint), file_version = 3 (string), summary = 5; a summary holds values (1) of a
tag (1, string) and a simple_value (2, float). View them with `tensorboard --logdir DIR`.
"""
from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcunas.atomic import errors_naming

FOLDER = "events"
_POLYNOMIAL = 0x82F63B78        # Castagnoli, reflected


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_CRC = _table()


def masked_crc(data: bytes) -> int:
    """CRC-32C, rotated by 15 bits and shifted by a constant, as TFRecord wants it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(data)) + data


def _record(event: bytes) -> bytes:
    length = struct.pack("<Q", len(event))
    return length + struct.pack("<I", masked_crc(length)) + event + struct.pack("<I", masked_crc(event))


def _event(step: int, payload: bytes) -> bytes:
    return _record(b"\x09" + struct.pack("<d", time.time()) + b"\x10" + _varint(step) + payload)


class Events:
    """Appends scalars to a file of its own. first_step: of this process; a resumed search begins another file."""

    def __init__(self, folder: Path, first_step: int) -> None:
        self.path = folder / f"events.out.tfevents.{first_step:010d}.mcunas"
        self._started = False

    def add(self, step: int, scalars: Mapping[str, float]) -> None:
        """One point of each curve; on the disk when this returns."""
        values = b"".join(_field(1, _field(1, tag.encode()) + b"\x15" + struct.pack("<f", value))
                          for tag, value in scalars.items())
        data = _event(step, _field(5, values))
        if not self._started:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            data = _event(0, _field(3, b"brain.Event:2")) + data
        with errors_naming(self.path), open(self.path, "ab" if self._started else "wb") as file:
            file.write(data)
        self._started = True


def scalars(entry: Mapping[str, Any], groups: list[str], ops: list[str]) -> dict[str, float]:
    """The curves of a history entry: figures, resources and their annealed budgets, widths, the dual of each step.

    groups, ops: names of the channel groups and of the deployed graph's ops.
    """
    names = {"loss": "loss", "validation": "accuracy/validation", "returned_channels": "returned_channels"}
    for key in ("ram_bytes", "flash_bytes", "latency_us"):
        names |= {key: f"{key}/use", f"annealed_{key}": f"{key}/budget"}
    found = {name: float(entry[key]) for key, name in names.items() if entry.get(key) is not None}
    found |= {f"width/{g}": float(w) for g, w in zip(groups, entry.get("real_widths", entry["widths"]))}
    duals = entry.get("duals", ())
    labels = [*(f"ram/{i:02d} {op}" for i, op in enumerate(ops)), "flash", "latency"]
    return found | ({f"dual/{n}": float(d) for n, d in zip(labels, duals)} if len(duals) == len(labels) else {})
