# SPDX-License-Identifier: Apache-2.0
"""ONNX -> float .tflite through onnx2tf, which turns NCHW into NHWC; kept from the network and from the user's own file.

onnx2tf loses the nodes' names (its Keras layers are named after TensorFlow's functions), so the layers that each node adds
are noted as it works.
"""
from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import onnxruntime
import onnxsim
from complaint import Complaint, first_line
from converted import Converted, Inputs, answers, arrange
from lite import fixed, quiet, to_tflite

TO_NHWC = {3: (0, 2, 1), 4: (0, 2, 3, 1)}
_QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger")


def convert_onnx(path: str, samples: dict[str, np.ndarray]) -> Converted:
    model = _load(path)
    inputs = _fix_inputs(model)
    model = _simplified(model)
    arrays = arrange(samples, inputs)
    session = onnxruntime.InferenceSession(model.SerializeToString(), _options(), ["CPUExecutionProvider"])
    given = answers(lambda *one: session.run(None, {name: a for (name, _), a in zip(inputs, one)}), arrays)
    keras, nodes = _to_keras(model)
    order = []
    for (name, shape), tensor in zip(inputs, keras.inputs):
        candidates = (TO_NHWC.get(len(shape), ()), tuple(range(len(shape))))
        fits = [p for p in candidates if p and tuple(shape[a] for a in p) == tuple(tensor.shape)]
        if not fits:
            raise Complaint(f"onnx2tf changed its shape {shape} into {tuple(tensor.shape)}", f'input "{name}"')
        order.append(fits[0])
    import tensorflow as tf

    def run(*tensors: Any) -> list[Any]:
        return tf.nest.flatten(keras(tensors[0] if len(tensors) == 1 else list(tensors), training=False))

    tflite = to_tflite(run, [(name, tuple(shape[a] for a in p)) for (name, shape), p in zip(inputs, order)])
    return Converted(tflite, inputs, order, given, nodes)


def _load(path: str) -> onnx.ModelProto:
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except Exception as error:
        raise Complaint(f"is not a valid ONNX model ({first_line(error)})") from None
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
        where = f'node "{node.name}" ({node.op_type})'
        if node.op_type in _QUANTIZED:
            raise Complaint("the model is quantized already, and onnx2tf would drop its scales", where,
                            "export the float model; --representative quantizes it")
        if node.domain not in ("", "ai.onnx"):
            raise Complaint(f"operators of {node.domain} are not known", where, "export it with standard operators")
    return model


def _fix_inputs(model: onnx.ModelProto) -> Inputs:
    """Gives every input a batch of 1, in place."""
    constants, inputs = {tensor.name for tensor in model.graph.initializer}, []
    for value in model.graph.input:
        if value.name in constants:
            continue
        tensor = value.type.tensor_type
        shape = [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in tensor.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        inputs.append((value.name, fixed(value.name, shape, dtype)))
        tensor.shape.dim[0].dim_value = 1
    if not inputs:
        raise Complaint("has no input")
    return inputs


def _simplified(model: onnx.ModelProto) -> onnx.ModelProto:
    """Constants folded, shapes with a batch of 1 known; as it was where that does not work."""
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        with quiet():
            done, same = onnxsim.simplify(model)
        model = done if same else model
    except Exception:
        pass        # onnx2tf folds most of it too
    return onnx.shape_inference.infer_shapes(model)


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    return options


def _to_keras(model: onnx.ModelProto) -> tuple[Any, dict[str, tuple[str, str]]]:
    """(tf_keras model, its layers' names -> ONNX nodes)."""
    with quiet(), contextlib.redirect_stdout(io.StringIO()):
        import onnx2tf
        import onnx2tf.onnx2tf as program

    # Models with three channels would wait for pictures from the network; noise serves its comparisons as well.
    program.download_test_image_data = lambda: np.random.default_rng(0).random((20, 128, 128, 3), np.float32)
    layers: dict[int, tuple[Any, tuple[str, str]]] = {}
    working = [""]
    for kind in sorted({node.op_type for node in model.graph.node}):
        _note(kind, layers, working, model)
    try:
        with quiet(), contextlib.redirect_stdout(io.StringIO()):
            keras = onnx2tf.convert(onnx_graph=model, not_use_onnxsim=True, not_use_opname_auto_generate=True,
                                    disable_model_save=True, non_verbose=True)
    except (Exception, SystemExit) as error:
        raise Complaint(f"onnx2tf cannot convert it ({first_line(error)})", working[0],
                        "replace that operator by a simpler one") from None
    return keras, {layer.name: node for layer, node in layers.values()}


def _note(kind: str, layers: dict[int, tuple[Any, tuple[str, str]]], working: list[str], model: onnx.ModelProto) -> None:
    """Let the converter of one kind of node say which layers it made. Raises Complaint for a kind that there is not."""
    try:
        module = importlib.import_module(f"onnx2tf.ops.{kind}")
    except ModuleNotFoundError:
        name = next(node.name for node in model.graph.node if node.op_type == kind)
        raise Complaint("onnx2tf does not know this operator", f'node "{name}" ({kind})',
                        "replace it by simpler ones") from None
    make = module.make_node

    def noting(*, graph_node: Any, tf_layers_dict: dict[str, Any], **more: Any) -> None:
        working[0] = f'node "{graph_node.name}" ({graph_node.op})'
        make(graph_node=graph_node, tf_layers_dict=tf_layers_dict, **more)
        for output in graph_node.outputs:
            for layer in _layers_before(tf_layers_dict.get(output.name, {}).get("tf_node")):
                if layer.inbound_nodes and layer.inbound_nodes[0].keras_inputs:     # no input
                    layers.setdefault(id(layer), (layer, (graph_node.name, graph_node.op)))

    module.make_node = noting  # type: ignore[attr-defined]


def _layers_before(tensor: Any) -> Iterator[Any]:
    """The layers that a Keras tensor comes from, nearest first."""
    pending, seen = [tensor], set()
    while pending:
        history = getattr(pending.pop(), "_keras_history", None)
        if history is None or id(history.layer) in seen:
            continue
        seen.add(id(history.layer))
        yield history.layer
        node = history.layer.inbound_nodes[history.node_index] if history.layer.inbound_nodes else None
        pending += list(node.keras_inputs) if node is not None else []
