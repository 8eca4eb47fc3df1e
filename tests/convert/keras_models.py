# SPDX-License-Identifier: Apache-2.0
"""Run by the Python that has TensorFlow: writes a Keras model with fixed random weights. Arguments: name, path."""
import os
import sys

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")

import keras  # noqa: E402
from keras import layers  # noqa: E402


def ds_cnn() -> keras.Model:
    x = start = keras.Input((49, 10, 1))
    x = layers.Conv2D(16, (10, 4), 2, "same", use_bias=False)(x)
    for stride in (1, 2):
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.ReLU()(layers.BatchNormalization()(layers.DepthwiseConv2D(3, stride, "same")(x)))
        x = layers.Conv2D(16, 1)(x)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    return keras.Model(start, layers.Dense(12, "softmax")(layers.Dropout(0.2)(x)))


def mobilenet() -> keras.Model:
    return keras.applications.MobileNet((96, 96, 3), alpha=0.25, weights=None, classes=2, dropout=0)


def autoencoder() -> keras.Model:
    """Of images, with transposed convolutions."""
    x = start = keras.Input((28, 28, 1))
    for channels in (8, 4):
        x = layers.Conv2D(channels, 3, 2, "same", activation="relu")(x)
    for channels in (4, 8):
        x = layers.Conv2DTranspose(channels, 3, 2, "same", activation="relu")(x)
    return keras.Model(start, layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x))


def unsupported() -> keras.Model:
    x = start = keras.Input((8, 8, 3))
    x = layers.Activation("gelu", name="bend")(layers.Conv2D(4, 3, name="first")(x))
    return keras.Model(start, layers.GlobalAveragePooling2D()(x))


def flex() -> keras.Model:
    x = start = keras.Input((8,))
    return keras.Model(start, layers.Dense(2)(layers.Activation(keras.ops.erf, name="odd")(layers.Dense(4)(x))))


def code() -> keras.Model:
    x = start = keras.Input((8,))
    return keras.Model(start, layers.Lambda(lambda v: v * 2, name="double")(layers.Dense(4)(x)))


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    model, path = globals()[sys.argv[1]](), sys.argv[2]
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([keras.random.uniform(w.shape, 0.5, 1.5, seed=i) for i, w in enumerate(layer.get_weights())])
    model.save(path) if path.endswith((".keras", ".h5")) else model.export(path, verbose=False)
