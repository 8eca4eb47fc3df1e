# SPDX-License-Identifier: Apache-2.0
"""Reader and writer are inverse to each other; what cannot be read says why."""
from __future__ import annotations

import numpy as np
import pytest

from mcunas.errors import InputError
from mcunas.graph import Graph, Op, Quant, Tensor, read_tflite, verify, write_tflite
from mcunas.graph.tflite_reader import identifier

MODELS = ("kws_ref_model", "pretrainedResnet_quant", "vww_96_int8", "ad01_int8")


def small_graph() -> Graph:
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (4, 3, 3, 2)).astype(np.int8)
    tensors = (
        Tensor("x", (1, 5, 7, 2), "int8", Quant.of(0.5, 3)),
        Tensor("w", (4, 3, 3, 2), "int8", Quant(np.full(4, 0.01, np.float32), np.zeros(4, np.int64), 0), weights),
        Tensor("b", (4,), "int32", None, np.arange(4, dtype=np.int32)),
        Tensor("y", (1, 3, 4, 4), "int8", Quant.of(0.25, -128)),
    )
    attrs = {"stride_h": 2, "stride_w": 2, "dilation_h": 1, "dilation_w": 1, "padding": "SAME", "activation": "RELU"}
    return verify(Graph(tensors, (Op("CONV_2D", (0, 1, 2), (3,), attrs),), (0,), (3,)))


def same(a: Graph, b: Graph) -> bool:
    def tensor(t: Tensor):
        return (t.name, t.shape, t.dtype, None if t.data is None else t.data.tobytes(),
                None if t.quant is None else (t.quant.scale.tobytes(), t.quant.zero_point.tobytes()))

    def op(o: Op):
        return o.kind, o.inputs, o.outputs, dict(o.attrs)
    return ([tensor(t) for t in a.tensors] == [tensor(t) for t in b.tensors] and [op(o) for o in a.ops] ==
            [op(o) for o in b.ops] and (a.inputs, a.outputs) == (b.inputs, b.outputs))


def test_writing_and_reading_gives_the_same_graph():
    graph = small_graph()
    assert same(graph, read_tflite(write_tflite(graph)))
    assert write_tflite(graph) == write_tflite(graph)


@pytest.mark.parametrize("name", MODELS)
def test_mlperf_models_survive_a_round_trip(name, data_dir):
    graph = read_tflite(data_dir / "mlperf_tiny" / f"{name}.tflite")
    assert same(graph, read_tflite(write_tflite(graph)))


@pytest.mark.parametrize("change, message", [
    (lambda g: g.with_(ops=(Op("CUSTOM", (0,), (3,)),)), "not supported"),
    (lambda g: g.with_(outputs=(9,)), "does not exist"),
    (lambda g: g.with_(inputs=(0, 0)), "twice"),
    (lambda g: g.with_(ops=g.ops + g.ops), "written twice"),
    (lambda g: g.with_(ops=(Op("CONV_2D", (3, 1, 2), (0,), g.ops[0].attrs),), inputs=(), outputs=(0,)), "no input"),
    (lambda g: g.with_(ops=(Op("CONV_2D", (0, 1, 2), (3,), {**g.ops[0].attrs, "padding": "VALID"}),)), "expected"),
    (lambda g: g.with_(ops=(Op("CONV_2D", (0, 1, 2), (3,), {**g.ops[0].attrs, "stride_h": 0}),)), "at least 1"),
    (lambda g: g.with_(ops=(Op("CONV_2D", (0, -1, 2), (3,), g.ops[0].attrs),)), "absent"),
    (lambda g: g.with_(tensors=g.tensors[:3] + (Tensor("y", (1, 3, 4, 4), "float32"),)), "quantize the model"),
    (lambda g: g.with_(tensors=(Tensor("x", (1, 5, 7, 2), "int8"),) + g.tensors[1:]), "scale"),
])
def test_an_illegal_graph_is_refused_with_the_op_and_the_reason(change, message):
    with pytest.raises(InputError, match=message) as caught:
        verify(change(small_graph()))
    assert "\n" not in str(caught.value)


def test_every_truncation_is_one_clear_error():
    data = write_tflite(small_graph())
    for size in range(0, len(data) - 1, 7):
        try:
            read_tflite(data[:size])
        except InputError as error:
            assert "\n" not in str(error)


def bomb(tensors: int, name_bytes: int, buffer_bytes: int) -> bytes:
    """A file whose tensors are all the same one, with one name and one buffer."""
    import flatbuffers
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    b = flatbuffers.Builder(1024)
    data = b.CreateByteVector(bytes(buffer_bytes))
    schema.BufferStart(b)
    schema.BufferAddData(b, data)
    full = schema.BufferEnd(b)
    schema.BufferStart(b)
    empty = schema.BufferEnd(b)
    schema.ModelStartBuffersVector(b, 2)
    b.PrependUOffsetTRelative(full)
    b.PrependUOffsetTRelative(empty)
    buffers, name = b.EndVector(), b.CreateString("n" * name_bytes)
    schema.TensorStartShapeVector(b, 1)
    b.PrependInt32(buffer_bytes)
    shape = b.EndVector()
    schema.TensorStart(b)
    schema.TensorAddShape(b, shape)
    schema.TensorAddName(b, name)
    schema.TensorAddType(b, schema.TensorType.INT8)
    schema.TensorAddBuffer(b, 1)
    tensor = schema.TensorEnd(b)
    schema.SubGraphStartTensorsVector(b, tensors)
    for _ in range(tensors):
        b.PrependUOffsetTRelative(tensor)
    vector = b.EndVector()
    schema.SubGraphStart(b)
    schema.SubGraphAddTensors(b, vector)
    subgraph = schema.SubGraphEnd(b)
    schema.ModelStartSubgraphsVector(b, 1)
    b.PrependUOffsetTRelative(subgraph)
    subgraphs = b.EndVector()
    schema.ModelStart(b)
    schema.ModelAddVersion(b, 3)
    schema.ModelAddSubgraphs(b, subgraphs)
    schema.ModelAddBuffers(b, buffers)
    b.Finish(schema.ModelEnd(b), b"TFL3")
    return bytes(b.Output())


@pytest.mark.parametrize(("name_bytes", "buffer_bytes"), [(1, 100_000), (100_000, 1)])
def test_a_small_file_that_shares_without_end_does_not_fill_the_memory(name_bytes: int, buffer_bytes: int) -> None:
    import tracemalloc

    data = bomb(20_000, name_bytes, buffer_bytes)
    assert len(data) < 250_000
    read_tflite(write_tflite(small_graph()))         # imports the schema
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="corrupted"):
            read_tflite(data)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20       # of 2 GB
    finally:
        tracemalloc.stop()


def test_model_names_become_c_identifiers():
    assert [identifier(n) for n in ("KWS ref-model", "96x96", "ünïcode", "")] == ["kws_ref_model", "m96x96",
                                                                                 "n_code", "model"]
