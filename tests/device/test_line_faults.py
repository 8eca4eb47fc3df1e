# SPDX-License-Identifier: Apache-2.0
"""What a serial line does to bytes is noticed and the inference is run again, or it is said: a wrong verdict never comes
of it. And a wrong layer is found, with its element; and every step has its ticks."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mcunas import api, device
from mcunas.board import Board
from mcunas.device import link as linking
from mcunas.device import locate as locating
from mcunas.device.link import Link, LinkError
from mcunas.device.qemu import Qemu
from mcunas.device.step_times import step_times
from mcunas.device.target import ATTEMPTS, check_board
from mcunas.errors import CheckFailed, InputError
from tests.device.faulty import FaultyLine, change, lose, repeat
from tests.device.target import on_a_port
from tests.small_models import dense

validating = import_module("mcunas.device.validate")      # the package has a function of that name


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> device.Image:
    return api.build(dense(40, 6), "mps2-an386", tmp_path_factory.mktemp("image"))


@contextmanager
def line(image: device.Image, **faults) -> Iterator[tuple[Link, FaultyLine]]:
    """A link over a faulty line; the first write is the first command of the validation."""
    def start() -> Qemu:
        return Qemu(image.board, image.elf)

    stream = FaultyLine(start(), start)
    link = Link(stream, image.elf, patience_s=1.5)
    link.wait_for_boot()
    stream.heard = 0
    for name, value in faults.items():
        setattr(stream, name, value)
    try:
        yield link, stream
    finally:
        stream.close()


def validated(image: device.Image, monkeypatch: pytest.MonkeyPatch, inputs: list[np.ndarray], **faults):
    @contextmanager
    def connect(image: device.Image, *_, **__) -> Iterator[Link]:
        with line(image, **faults) as (link, _):
            yield link

    monkeypatch.setattr(validating, "connect", connect)
    monkeypatch.setattr(validating, "_timed", lambda *_: (None, None, ""))
    return device.validate(image, inputs, find_layer=False)


INPUTS = [np.arange(40, dtype=np.int8).reshape(1, 40) * k for k in (1, 3)]


@pytest.mark.parametrize("faults", [
    {"harm_in": {1: lose(30)}}, {"harm_in": {1: lose(3)}}, {"harm_in": {1: change(40)}}, {"harm_in": {1: repeat(35)}},
    {"harm_in": {2: lose(4), 5: change(14)}}, {"harm_in": {3: repeat(1)}},
    {"harm_out": {12: change(0)}}, {"harm_out": {40: lose(0)}}, {"harm_out": {90: change(0), 300: repeat(0)}},
    {"resets": (3,)}, {"resets": (2, 9)}, {"cut": 70}, {"cut": 33, "resets": (6,)},
])
def test_harmed_bytes_and_resets_cost_a_retry_and_change_no_verdict(faults, image, monkeypatch) -> None:
    report = validated(image, monkeypatch, INPUTS, **faults)
    assert report.passed and report.mismatches == 0 and report.inputs == 2
    assert len(report.retries) >= 1 and report.to_json()["retries"]


def test_a_test_set_streams_over_a_bad_line(image, monkeypatch) -> None:
    running = import_module("mcunas.device.run")

    @contextmanager
    def connect(image: device.Image, *_, **__) -> Iterator[Link]:
        with line(image, harm_in={2: lose(30)}, harm_out={300: change(0)}, resets=(7,), cut=900) as (link, _):
            yield link

    expected = running.stream(image, np.concatenate(INPUTS * 3))
    monkeypatch.setattr(running, "connect", connect)
    assert (running.stream(image, np.concatenate(INPUTS * 3)) == expected).all()


def test_a_wrong_output_stays_wrong_over_a_bad_line(image, tmp_path: Path, monkeypatch) -> None:
    from mcunas.graph import write_tflite
    from tests.device.test_validate_firmware import changed

    other = tmp_path / "other.tflite"
    other.write_bytes(write_tflite(changed(dense(40, 6), 2, np.array([0, 0, 100_000, 0, -100_000, 0]))))
    report = validated(replace(image, tflite=other), monkeypatch, INPUTS, harm_in={1: lose(30)}, harm_out={700: change(0)})
    assert not report.passed and report.mismatches > 0


def test_an_unplugged_cable_ends_it_with_a_line(image, monkeypatch) -> None:
    with pytest.raises(CheckFailed, match="/dev/ttyACM0: the serial port failed"):
        validated(image, monkeypatch, INPUTS, gone_after=4)


def test_a_line_that_harms_everything_is_given_up(image, monkeypatch) -> None:
    with pytest.raises(CheckFailed, match=f"gave up after {ATTEMPTS} attempts|does not answer any more|no firmware of"):
        validated(image, monkeypatch, INPUTS, harm_in={i: change(1) for i in range(1, 60)})


def test_a_device_that_talks_by_itself_is_told_from_a_board(monkeypatch) -> None:
    clock = SimpleNamespace(now_s=0.0)
    clock.monotonic = lambda: clock.now_s
    monkeypatch.setattr(linking, "time", clock)

    def read(timeout_s: float) -> bytes:
        clock.now_s += 0.1
        return b"$GPGGA,123519,4807.038,N\r\n"

    with pytest.raises(CheckFailed, match="no firmware of mcunas, or has another baud rate; name the board's own port"):
        Link(SimpleNamespace(read=read, write=lambda data, timeout_s: None)).resync()  # type: ignore[arg-type]
    assert clock.now_s < 100


def test_an_old_answer_is_not_taken_for_a_new_one(image) -> None:
    with line(image) as (link, stream):
        answer = b"m-name-dut-[mcunas]\r\nm-end-[0,00000000]\r\nm-ready\r\n"
        link._buffer = answer
        assert link.command("name") == ["m-name-dut-[mcunas]"]
        stream.harm_out = {stream.heard + 16: change(0)}
        with pytest.raises(LinkError, match="damaged on the serial line"):
            link.command("name")


def test_another_firmware_or_a_slower_clock_is_refused(image, tmp_path: Path) -> None:
    other = tmp_path / "other.bin"
    other.write_bytes(image.bin.read_bytes()[:-1] + b"\xFF")
    with line(image) as (link, _):
        check_board(link, image)
        with pytest.raises(CheckFailed, match="runs another firmware than this one; flash it"):
            check_board(link, replace(image, bin=other))
        real = replace(image.board, emulate=None, core=replace(image.board.core, clock_hz=50_000_000))
        with pytest.raises(CheckFailed, match="the clock did not start: the core runs at 25 MHz, not at 50"):
            check_board(link, replace(image, board=real))


def test_the_layer_and_the_element_that_differ_are_found(image, monkeypatch, tmp_path: Path) -> None:
    """The firmware's model has one weight of another value than the reference is given."""
    from mcunas.graph import reference

    right, seen = reference.run, {}

    def wrong(graph, arrays):
        values = right(graph, arrays)
        op = graph.ops[-1]
        seen["op"] = len(graph.ops) - 1
        harmed = values[op.outputs[0]].copy()
        harmed[0, 4] ^= 1
        return {**values, op.outputs[0]: harmed}

    assert locating.locate(image, [INPUTS[0]]) is None
    monkeypatch.setattr(reference, "run", wrong)
    found = locating.locate(image, [INPUTS[0]])
    assert found is not None and (found.op, found.index) == (seen["op"], (0, 4))
    assert found.expected == found.found ^ 1


def test_every_step_has_its_ticks(image) -> None:
    ticks = locating.step_ticks(image)
    total = device.validate(image, n_random=1).measured.instructions
    shift, hz = image.board.emulate.icount_shift, Board.load("mps2-an386").timer.hz
    steps = sum(ticks) * 1e9 / hz / 2**shift
    assert 0.7 * total < steps < 1.1 * total and len(ticks) == len(set(x["step"] for x in image.manifest["layers"]))


def test_a_board_on_a_serial_port_is_validated_like_one_in_the_emulator(image) -> None:
    """QEMU behind a pseudo-terminal: to the host a port like any other; then its cable is pulled."""
    with on_a_port(image) as (port, process):
        report = device.validate(image, n_random=3, port=port)
        assert report.passed and report.measured.instructions is None
        assert all("did not answer" in text for text in report.retries)     # a busy machine's; nothing was damaged
        assert report.cycles_source == "measured on the board by its timer (cmsdk, 25 MHz)" and report.measured.cycles > 0
        process.kill()
        process.wait()
        with pytest.raises((CheckFailed, InputError), match=port):
            device.validate(image, n_random=1, port=port)


def test_steps_are_timed_in_cycles_beside_the_model(image) -> None:
    found = step_times(image)
    assert [one.step for one in found] == list(range(len(found))) and all(one.layers for one in found)
    assert sum(len(one.layers) for one in found) == len(image.manifest["layers"])
    measured = device.validate(image, n_random=1).measured
    assert 0.7 * measured.instructions < sum(one.measured for one in found) < 1.1 * measured.instructions
    assert sum(one.modelled_cycles for one in found) == pytest.approx(measured.cycles, rel=0.3)
