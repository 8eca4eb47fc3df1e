# SPDX-License-Identifier: Apache-2.0
"""The command protocol: MLPerf Tiny's answers to the letter, and an answer to whatever else comes in."""
from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

import numpy as np
import pytest

from mcunas.device.link import DeviceError, Link
from mcunas.device.random_input import SEEDS, random_bytes, random_inputs
from tests.device.stubs import ARENA_BYTES, INPUT_BYTES, stub
from tests.device.target import booted, seeded


@pytest.fixture(scope="module")
def link() -> Iterator[Link]:
    with booted(stub()) as link:
        yield link


def test_the_runner_gets_the_answers_it_parses(link: Link) -> None:
    assert link.command("name") == ["m-name-dut-[mcunas]"]
    assert link.command("profile") == ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", "m-model-[stub]"]
    assert re.fullmatch(r"m-lap-us-[0-9]+", link.command("timestamp")[0])
    assert link.command(f"db load {INPUT_BYTES}") == [f"m-[Expecting {INPUT_BYTES} bytes]"]
    assert link.command("db " + "01" * 31) == []
    assert link.command("db ff") == ["m-load-done"]
    lines = link.command("infer 3 2")
    assert [re.sub(r"us-\d+", "us-T", line) for line in lines] == [
        "m-warmup-start-2", "m-warmup-done", "m-infer-start-3", "m-lap-us-T", "m-lap-us-T", "m-infer-done",
        "m-results-[39.500,32.250,32.000,32.000]"]      # 31 + 255 = 286, little endian, (q + 128) / 4
    assert link.command("results") == lines[-1:]


def test_boot_says_what_the_runner_expects() -> None:
    class Recorder:
        data = b"m-timestamp-mode-performance\r\nm-init-done\r\nm-ready\r\n"

        def read(self, timeout_s: float) -> bytes:
            data, self.data = self.data, b""
            return data

    with booted(stub()) as link:
        assert link.command("help")[0] == "m-help-[name]"
    Link(Recorder()).wait_for_boot()  # type: ignore[arg-type]


def test_every_inference_sees_a_fresh_input(link: Link) -> None:
    data = seeded(link)
    link.infer(5, 3)
    assert int.from_bytes(link.output(), "little") == sum(data)


def test_inputs_by_hex_by_raw_bytes_and_by_seed_are_the_same(link: Link) -> None:
    data = seeded(link, seed=11)
    link.infer()
    by_seed = link.output()
    link.command(f"db load {INPUT_BYTES}")
    link.command(f"db {data.hex().upper()}")
    assert "".join(link.command("db print")) == f"m-buffer-{data.hex()}"
    link.infer()
    by_hex = link.output()
    link.load(data)
    link.infer()
    assert by_seed == by_hex == link.output()


@pytest.mark.parametrize(("command", "error"), [
    ("", "Unknown command: "),
    ("nonsense", "Unknown command: nonsense"),
    ("namex", "Unknown command: namex"),
    ("name 3", "Unknown command: name 3"),
    ("infer", "Unknown command: infer"),
    ("infer x", "Unknown command: infer x"),
    ("infer 1 2 3", "Unknown command: infer 1 2 3"),
    ("infer 99999999999", "Unknown command: infer 99999999999"),
    ("infer 1  2", "Unknown command: infer 1  2"),
    ("\x01[a]\x7f", "Unknown command: ?[a??"),
    ("infer 0", "infer takes a count of 1 or more"),
    ("x" * 5000, "Command too long"),
    ("db load 31", f"The model takes {INPUT_BYTES} bytes"),
    ("db load 4294967295", "Unknown command: db load 4294967295"),
])
def test_nonsense_is_answered(link: Link, command: str, error: str) -> None:
    with pytest.raises(DeviceError) as raised:
        link.command(command)
    assert raised.value.what.endswith(f"with: {error}")


@pytest.mark.parametrize("line", ["00" * (INPUT_BYTES + 1), "0", "0g", "00 00", "00\r\n", "é".encode().hex() + "!"])
def test_a_bad_line_of_data_counts_for_nothing(link: Link, line: str) -> None:
    link.command(f"db load {INPUT_BYTES}")
    link.command("db 0102")
    with pytest.raises(DeviceError, match="Bad data"):
        link.command(f"db {line}")
    assert link.command("db " + "00" * (INPUT_BYTES - 2)) == ["m-load-done"]
    link.infer()
    assert int.from_bytes(link.output(), "little") == 3


def test_data_without_announcement_is_refused(link: Link) -> None:
    seeded(link)
    with pytest.raises(DeviceError, match="send db load first"):
        link.command("db 00")


def test_nothing_is_inferred_without_a_whole_input(link: Link) -> None:
    link.command(f"db load {INPUT_BYTES}")
    link.command("db 00")
    for command in ("infer 1", "mem", "bench", "db print"):
        with pytest.raises(DeviceError, match="No input"):
            link.command(command)
    for command in ("results", "out"):
        with pytest.raises(DeviceError, match="No results"):
            link.command(command)


def test_an_input_too_large_to_keep_serves_one_inference() -> None:
    """On the micro:bit, where the arena leaves no room for a second copy."""
    body = "uint32_t s = 0; for (uint32_t i = 0; i < 3000u; i++) { s += arena[i]; arena[i] = 0; }\n" \
           "for (uint32_t k = 0; k < 16u; k++) arena[13984u + k] = (uint8_t)(s >> 8 * (k % 4u));"
    with booted(stub(body, arena_bytes=14_000, input_bytes=3000), "microbit") as link:
        assert not link.memory().input_kept
        data = seeded(link, count=3000)
        with pytest.raises(DeviceError, match="one inference per load"):
            link.infer(2)
        link.infer()
        assert int.from_bytes(link.output(), "little") == sum(data)
        with pytest.raises(DeviceError, match="No input"):
            link.infer()
        assert link.memory().arena_used == 14_000


@pytest.mark.parametrize("key", ["microbit", "mps2-an386"])
def test_random_floats_are_the_same_on_both_sides(key: str) -> None:
    model = stub("(void)arena;", arena_bytes=1024, input_bytes=512)
    floats = model.model_c.replace("MN_INT8, 2, {1, 512}", "MN_FLOAT32, 2, {1, 128}")
    assert floats != model.model_c
    expected = random_inputs(5, [((1, 128), "float32")])[0]
    assert len(np.unique(expected)) > 50 and np.abs(expected).max() <= 4
    with booted(type(model)(floats, model.model_h, model.manifest), key) as link:
        link.seed(5, expected.tobytes())


def test_any_seed_is_the_same_on_both_sides(link: Link) -> None:
    for seed in (0, SEEDS - 1, SEEDS, 2**32 - 1, 2**32 + 100_000):
        link.seed(seed, random_inputs(seed, [((1, INPUT_BYTES), "int8")])[0].tobytes())


@pytest.mark.parametrize("key", ["microbit", "mps2-an505"])
def test_variables_start_with_their_values(key: str) -> None:
    state = "static volatile uint16_t set[3] = {40, 1, 7}; static volatile uint32_t zero[3];"
    with booted(stub(f"arena[{ARENA_BYTES - 16}] = (uint8_t)(set[0] + set[1] + zero[2]);", state), key) as link:
        seeded(link)
        link.infer()
        assert link.output()[0] == 41


def test_the_generator_is_pinned() -> None:
    assert random_bytes(0, 6).tobytes().hex() == "19460c513e55"
    assert random_bytes(2**32 - 1, 4).tobytes().hex() == "21200400"
    assert zlib.crc32(random_bytes(7, INPUT_BYTES).tobytes()) == 0x5D99741A
