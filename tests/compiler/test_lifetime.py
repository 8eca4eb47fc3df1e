# SPDX-License-Identifier: Apache-2.0
"""What shares a storage, what an op reads, writes and may overwrite, on programs made by hand."""
from __future__ import annotations

import numpy as np
import pytest

from mcunas.compiler.lifetime import Program, one_way, saving
from mcunas.compiler.lower import KernelCall, Overlap
from mcunas.errors import InputError
from mcunas.graph import Graph, Op, Tensor
from tests.small_models import dense

NEAR, FAR, NONE = Overlap(0, 4), Overlap(8, None), Overlap()


def call(inputs: tuple[int, ...], outputs: tuple[int, ...], scratch_bytes: int = 0,
         overlap: tuple[Overlap, ...] = ()) -> KernelCall:
    return KernelCall("k", {}, inputs, outputs, scratch_bytes, overlap=overlap)


def renamed() -> Program:
    """0 -ADD-> 1 -RESHAPE-> 2 -ADD-> 3; the output takes both 1 and 2."""
    tensors = tuple(Tensor(name, shape, "int8") for name, shape in (("in", (6,)), ("a", (6,)), ("b", (2, 3)), ("out", (5,))))
    ops = (Op("ADD", (0, 0), (1,)), Op("RESHAPE", (1,), (2,)), Op("ADD", (2, 1), (3,)))
    calls = ((call((0, 0), (1,), 5), call((0, 0), (1,), 9)), (), (call((2, 1), (3,), overlap=(NEAR, NEAR)),))
    return Program.with_calls(Graph(tensors, ops, (0,), (3,)), calls)


def test_a_renaming_needs_no_storage_and_brings_none_to_life() -> None:
    program = renamed()
    assert program.storage == {0: 0, 1: 1, 2: 1, 3: 3} and program.parts == {}
    assert [program.reads(op) for op in range(3)] == [{0}, {1}, {1}]
    assert [program.writes(op) for op in range(3)] == [{1}, set(), {3}]
    assert [program.scratch_bytes(op) for op in range(3)] == [12, 0, 0]
    assert program.size == {0: 8, 1: 8, 3: 8} and program.sources == {0} and program.pinned == {3}


def test_parts_live_in_their_whole() -> None:
    tensors = tuple(Tensor(name, (size,), "int8") for name, size in (("in", 4), ("a", 4), ("b", 4), ("ab", 8)))
    ops = (Op("ADD", (0, 0), (1,)), Op("ADD", (0, 0), (2,)), Op("CONCATENATION", (1, 2), (3,)))
    graph, parts = Graph(tensors, ops, (0,), (3,)), {1: (3, 0), 2: (3, 4)}
    program = Program.with_calls(graph, ((call((0, 0), (1,)),), (call((0, 0), (2,)),), ()), {**parts, 3: (3, 0)})
    assert program.storage == {0: 0, 1: 3, 2: 3, 3: 3} and program.parts == {**parts, 3: (3, 0)}
    assert program.graph is graph and len(program.calls) == 3


def test_a_constant_renamed_is_refused_in_words() -> None:
    tensors = (Tensor("in", (4,), "int8"), Tensor("c", (4,), "int8", data=np.zeros(4, np.int8)), Tensor("d", (2, 2), "int8"))
    graph = Graph(tensors, (Op("RESHAPE", (1,), (2,)),), (0,), (2,), name="net")
    with pytest.raises(InputError) as caught:
        Program.with_calls(graph, ((),))
    assert str(caught.value) == f"net: {graph.where(0)}: RESHAPE of a constant; fold constants before exporting the model"


def test_an_op_takes_the_kernels_of_its_core_or_those_that_are_chosen() -> None:
    graph = dense(8, 4)

    def kernels(*asked, **named) -> list[str]:
        return [one.kernel for calls in Program.of(graph, *asked, **named).calls for one in calls]

    plain, dsp, chosen = kernels(), kernels("dsp"), kernels("dsp", choice={0: "scalar"})
    assert plain == kernels("scalar") == chosen and dsp != plain
    assert Program.of(graph).graph is graph


def test_an_output_may_lie_over_what_every_reading_of_an_input_allows() -> None:
    program = renamed()
    assert program.overlaps(2) == {1: NEAR} and program.overlaps(0) == {} and program.overlaps(1) == {}

    def with_last(*calls: KernelCall) -> dict[int, Overlap]:
        return Program.with_calls(program.graph, (*program.calls[:2], calls)).overlaps(2)

    assert with_last(call((2, 1), (3,), overlap=(NEAR, FAR))) == {}         # the same bytes, read twice
    assert with_last(call((2, 0), (3,), overlap=(NEAR, FAR))) == {1: NEAR, 0: FAR}
    assert with_last(call((2, 0), (3,), overlap=(NEAR, NONE))) == {1: NEAR}
    assert with_last(call((2, 0), (3, 1), overlap=(NEAR, FAR))) == {}       # two outputs
    assert with_last(*[call((2, 0), (3,), overlap=(NEAR, FAR))] * 2) == {}  # two calls


def test_what_sharing_saves() -> None:
    assert saving(NONE, 40, 24) == 0
    assert saving(Overlap(0), 40, 24) == 24 and saving(Overlap(0), 24, 40) == 24
    assert saving(Overlap(8), 40, 24) == 16 and saving(Overlap(-4), 40, 24) == 24 and saving(Overlap(5), 40, 24) == 16
    assert saving(Overlap(None, 0), 40, 24) == 24 and saving(Overlap(None, 20), 40, 24) == 20
    assert saving(Overlap(None, -4), 24, 40) == 24 and saving(Overlap(None, 5), 24, 40) == 16
    assert saving(Overlap(8, 0), 40, 40) == 40 and saving(Overlap(0, 8), 40, 40) == 40
    assert saving(Overlap(0), 0, 0) == 0


def test_the_direction_that_saves_more_is_taken() -> None:
    size = {0: 40, 1: 40}
    up, down = {0: Overlap(0, 24), 1: Overlap(0, None)}, {0: Overlap(24, 0), 1: Overlap(None, 0)}
    assert one_way({0: NEAR}, size, 40) == {0: NEAR} and one_way({}, size, 40) == {}
    assert one_way(up, size, 40) == {0: Overlap(0), 1: Overlap(0)}
    assert one_way(down, size, 40) == {0: Overlap(None, 0), 1: Overlap(None, 0)}
    assert one_way({0: Overlap(None, 0), 1: Overlap(None, 0)}, size, 40) == {0: Overlap(None, 0), 1: Overlap(None, 0)}
    assert one_way({0: Overlap(36), 1: Overlap(None, 0)}, {0: 40, 1: 16}, 40) == {1: Overlap(None, 0)}
    assert one_way({0: Overlap(80), 1: Overlap(None, 80)}, size, 40) == {0: Overlap(80)}     # neither saves: upwards
    assert one_way({0: Overlap(80), 1: Overlap(80)}, size, 40) == {0: Overlap(80), 1: Overlap(80)}
