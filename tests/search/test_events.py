# SPDX-License-Identifier: Apache-2.0
"""TensorBoard event files: records with right checksums that hold the curves of a search."""
from __future__ import annotations

import struct
from pathlib import Path

import pytest

from mcunas.search.events import Events, masked_crc, scalars

ENTRY = {"epoch": 1, "loss": 0.5, "validation": 0.9, "ram_bytes": 2000, "annealed_ram_bytes": 2500.0, "widths": [4, 8],
         "real_widths": [3.5, 7.25], "duals": [0.0, 0.125, 0.25, 0.5]}


def _records(data: bytes) -> list[bytes]:
    found = []
    while data:
        (size,), head = struct.unpack("<Q", data[:8]), data[:8]
        assert struct.unpack("<I", data[8:12])[0] == masked_crc(head)
        event, data = data[12:12 + size], data[12 + size:]
        assert struct.unpack("<I", data[:4])[0] == masked_crc(event)
        found.append(event)
        data = data[4:]
    return found


def test_the_checksum_is_the_published_one() -> None:
    crc = 0xE3069283                            # CRC-32C of "123456789"
    assert masked_crc(b"123456789") == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_a_file_holds_its_version_and_one_event_per_epoch(tmp_path: Path) -> None:
    events = Events(tmp_path / "events", 3)
    for step in (4, 300):
        events.add(step, {"loss": 0.5, "width/stem": 7.25})
    version, first, last = _records(events.path.read_bytes())
    assert version.endswith(b"brain.Event:2")
    assert first[9:11] == b"\x10\x04" and last[9:12] == b"\x10\xac\x02"
    assert b"width/stem\x15" + struct.pack("<f", 7.25) in last


def test_the_curves_are_widths_budgets_and_the_dual_of_every_step() -> None:
    found = scalars(ENTRY, ["stem", "body"], ["CONV_2D", "MEAN"])
    assert found["width/body"] == 7.25 and found["ram_bytes/budget"] == 2500.0
    assert found["dual/ram/01 MEAN"] == 0.125 and found["dual/latency"] == 0.5


def test_tensorboard_reads_them(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = Events(tmp_path, 0)
    events.add(1, {"loss": 0.5})
    events.add(2, {"loss": 0.25})
    read = accumulator.EventAccumulator(str(tmp_path))
    read.Reload()
    assert [(e.step, e.value) for e in read.Scalars("loss")] == [(1, 0.5), (2, 0.25)]
