# SPDX-License-Identifier: Apache-2.0
"""UF2, the file that a Pico's boot ROM takes from its USB mass storage: blocks of 512 bytes, each for itself
(github.com/microsoft/uf2, README)."""
from __future__ import annotations

import struct

_MAGIC = (0x0A32_4655, 0x9E5D_5157, 0x0AB1_6F30)
_FAMILY_PRESENT = 0x2000
PAYLOAD_BYTES = 256


def uf2(data: bytes, address: int, family: int) -> bytes:
    """`data` for flash from `address` on, padded with zeros to whole pages."""
    starts = range(0, len(data), PAYLOAD_BYTES)
    return b"".join(
        struct.pack("<8I476sI", *_MAGIC[:2], _FAMILY_PRESENT, address + at, PAYLOAD_BYTES, number, len(starts), family,
                    data[at:at + PAYLOAD_BYTES], _MAGIC[2]) for number, at in enumerate(starts))


def parse(blocks: bytes) -> tuple[int, int, bytes]:
    """(address, family, data) of a UF2 file. Raises ValueError."""
    data, first, families = b"", None, set()
    for number, at in enumerate(range(0, len(blocks), 512)):
        *head, payload, end = struct.unpack_from("<8I476sI", blocks, at)
        if (head[0], head[1], end) != _MAGIC or head[5] != number or head[6] != len(blocks) // 512:
            raise ValueError(f"block {number} is damaged")
        first = head[3] if first is None else first
        if head[3] != first + len(data):
            raise ValueError(f"block {number} leaves a gap")
        families.add(head[7])
        data += payload[:head[4]]
    if first is None or len(families) != 1:
        raise ValueError("no blocks, or of several families")
    return first, families.pop(), data
