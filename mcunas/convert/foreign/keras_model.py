# SPDX-License-Identifier: Apache-2.0
"""Keras (.keras, .h5; of Keras 2 and 3) and SavedModel folders -> float .tflite. No Python code of the file is run."""
from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from complaint import Complaint, first_line
from converted import Converted, Inputs, answers, arrange
from lite import fixed, quiet, to_tflite


def convert_keras(path: str, samples: dict[str, np.ndarray]) -> Converted:
    version, config = _described(path)
    for layer in _layers_in(config):
        if layer["class_name"] in ("Lambda", "__lambda__"):
            name = (layer.get("config") or {}).get("name", "?")
            raise Complaint("it holds Python code, which is not run", f'layer "{name}" (Lambda)',
                            "write it with layers, or export the model as a SavedModel")
    model = _load(path, version)
    names = [tensor.name.split(":")[0] for tensor in model.inputs]
    inputs = [(name, fixed(name, tuple(t.shape), t.dtype)) for name, t in zip(names, model.inputs)]

    def run(*tensors: Any) -> list[Any]:
        return tf.nest.flatten(model(tensors[0] if len(tensors) == 1 else list(tensors), training=False))

    nodes = {layer.name: (layer.name, type(layer).__name__) for layer in _all_layers(model)}
    return _converted(run, inputs, samples, nodes)


def convert_saved_model(path: str, samples: dict[str, np.ndarray]) -> Converted:
    try:
        with quiet():
            loaded = tf.saved_model.load(path)
    except Exception as error:
        raise Complaint(f"is not a SavedModel that TensorFlow can load ({first_line(error)})") from None
    signatures = dict(loaded.signatures)
    if not signatures:
        raise Complaint("has no signature", fix='export it with one, as model.export("folder") of Keras does')
    serving = signatures.get("serving_default", next(iter(signatures.values())))
    inputs = [(name, fixed(name, spec.shape.as_list() if spec.shape.rank is not None else None, spec.dtype))
              for name, spec in serving.structured_input_signature[1].items()]

    def run(*tensors: Any) -> list[Any]:
        return tf.nest.flatten(serving(**{name: tensor for (name, _), tensor in zip(inputs, tensors)}))

    return _converted(run, inputs, samples, {})


def _converted(run: Any, inputs: Inputs, samples: dict[str, np.ndarray], nodes: dict[str, tuple[str, str]]) -> Converted:
    arrays = arrange(samples, inputs)
    return Converted(to_tflite(run, inputs), inputs, [tuple(range(len(shape))) for _, shape in inputs],
                     answers(lambda *given: run(*map(tf.constant, given)), arrays), nodes)


def _described(path: str) -> tuple[int, Any]:
    """(Keras' major version, the model's configuration) as the file tells them. Raises Complaint."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                config = json.loads(archive.read("config.json"))
                version = json.loads(archive.read("metadata.json")).get("keras_version", "3")
        else:
            import h5py

            with h5py.File(path, "r") as file:
                if "model_config" not in file.attrs:
                    raise Complaint("holds weights only", fix="save the whole model: model.save(...)")
                config, version = json.loads(file.attrs["model_config"]), file.attrs.get("keras_version", "2")
        version = version.decode() if isinstance(version, bytes) else str(version)
        return int(version.split(".")[0]), config
    except Complaint:
        raise
    except Exception as error:
        raise Complaint(f"is not a Keras model that can be read ({first_line(error)})",
                        fix='save it with model.save("model.keras")') from None


def _layers_in(config: Any) -> Iterator[dict[str, Any]]:
    pending = [config]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            if "class_name" in node:
                yield node
            pending += node.values()
        elif isinstance(node, list):
            pending += node


def _load(path: str, version: int) -> Any:
    """By the Keras that wrote it: version 3 cannot read every file of version 2."""
    if version < 3:
        import tf_keras as keras
    else:
        import keras
    try:
        with quiet():
            model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise Complaint(f"Keras {version} cannot load it ({first_line(error)})",
                        fix="use standard layers, or export the model as a SavedModel") from None
    if not getattr(model, "inputs", None):
        raise Complaint("its inputs have no shape", fix="give it an Input layer, or call it once before it is saved")
    return model


def _all_layers(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if getattr(layer, "layers", None):
            yield from _all_layers(layer)
        yield layer
