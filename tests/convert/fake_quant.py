# SPDX-License-Identifier: Apache-2.0
"""Run by the Python that has TensorFlow: the network of test_writer.py with fake quantization -> TensorFlow's int8 .tflite.

Argument: a folder with parts.npz. Ranges of weights per output channel (convolutions) or one for all (depthwise, dense).
"""
import os
import sys
from pathlib import Path

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

folder = Path(sys.argv[1])
parts = dict(np.load(folder / "parts.npz"))


def weights(name: str) -> tf.Tensor:
    low, high = parts[f"{name}_low"], parts[f"{name}_high"]
    if low.size > 1:
        return tf.quantization.fake_quant_with_min_max_vars_per_channel(parts[f"{name}_w"], low, high, 8, narrow_range=True)
    return tf.quantization.fake_quant_with_min_max_vars(parts[f"{name}_w"], low.item(), high.item(), 8, narrow_range=True)


def activation(name: str, x: tf.Tensor) -> tf.Tensor:
    low, high = parts[f"{name}_range"]
    return tf.quantization.fake_quant_with_min_max_vars(x, low, high, 8)


@tf.function(input_signature=[tf.TensorSpec(parts["shape"], tf.float32)])
def network(x: tf.Tensor) -> tf.Tensor:
    x = activation("x", x)
    x = activation("first", tf.nn.relu(tf.nn.conv2d(x, weights("first"), 1, "SAME") + parts["first_b"]))
    y = tf.nn.depthwise_conv2d(x, weights("depthwise"), [1, 1, 1, 1], "SAME") + parts["depthwise_b"]
    y = activation("depthwise", tf.nn.relu(y))
    y = activation("point", tf.nn.conv2d(y, weights("point"), 1, "SAME") + parts["point_b"])
    y = activation("add", y + x)
    y = activation("pool", tf.nn.avg_pool2d(y, 8, 8, "VALID"))
    return activation("head", tf.reshape(y, (1, -1)) @ weights("head") + parts["head_b"])


converter = tf.lite.TFLiteConverter.from_concrete_functions([network.get_concrete_function()])
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.inference_input_type = converter.inference_output_type = tf.int8
(folder / "tensorflow.tflite").write_bytes(converter.convert())
