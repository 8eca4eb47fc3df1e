# SPDX-License-Identifier: Apache-2.0
"""[reserve] of every board is what the firmware takes with an empty model: never less, at most 512 bytes more."""
from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from mcunas.board import Board
from mcunas.board_parts import MODEL_STACK_BYTES
from mcunas.device.link import DeviceError
from mcunas.device.run import connect
from tests.device.stubs import stub
from tests.device.target import built, seeded

EMPTY = stub("(void)arena;", arena_bytes=64, input_bytes=16)


@pytest.mark.parametrize("key", Board.keys())
def test_the_reserve_is_measured(key: str, tmp_path: Path) -> None:
    reserve = Board.load(key).reserve
    image = built(EMPTY, key, tmp_path)
    with connect(image) as link:
        seeded(link, count=16)
        for command in ("name", "profile", "timestamp", "help", "infer 2 1", "results", "out", "bench", "db load 16",
                        f"db {'00' * 16}", "db print", "unknown", "mem"):
            with suppress(DeviceError):
                link.command(command)
        stack_bytes = link.memory().stack_used
    measured = {"flash": image.manifest["build"]["flash_bytes"], "ram": image.manifest["build"]["data_bytes"],
                "stack": stack_bytes + MODEL_STACK_BYTES}
    for name, size in measured.items():
        assert size <= getattr(reserve, name) <= size + 512, f"[reserve] {name} of {key}: measured {size}"
