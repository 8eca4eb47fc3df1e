# SPDX-License-Identifier: Apache-2.0
"""Fashion-MNIST: 28x28 grey images of ten kinds of clothing (Xiao, Rasul, Vollgraf, arXiv 1708.07747; MIT licence).

Test is the official test set. Of the official training set the 5,000 images with the lowest SHA-256 are validation,
so the split depends on no library, order or seed; images that stand in the test set too are left out of both.
"""
from __future__ import annotations

import gzip
import hashlib
from functools import partial

import numpy as np

from mcunas.errors import InputError
from mcunas.tasks.augment import Augment
from mcunas.tasks.schedule import Schedule
from mcunas.tasks.store import demand_sha256, download, obtain
from mcunas.tasks.task import Split, Task

ORIGINS = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
           "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/")
SHA256 = {
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}
VALIDATION = 5000


def _fetch(name: str) -> bytes:
    urls = [origin + name for origin in ORIGINS]
    content = download(urls, "fashion-mnist")
    demand_sha256(hashlib.sha256(content).hexdigest(), SHA256[name], urls[-1])
    return content


def _read(name: str, rank: int) -> np.ndarray:
    """A gzipped IDX file of bytes as uint8, its digest checked. Raises InputError."""
    path = obtain(f"fashion-mnist/{name}", partial(_fetch, name))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read it ({error.strerror})", where=str(path)) from None
    demand_sha256(hashlib.sha256(content).hexdigest(), SHA256[name], str(path))
    data = gzip.decompress(content)
    shape = np.frombuffer(data, ">i4", rank, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _part(images: np.ndarray, labels: np.ndarray, avoid: frozenset[bytes] = frozenset()) -> tuple[Split, frozenset[bytes]]:
    """Images sorted by digest, less those to avoid; and their digests."""
    digests = [hashlib.sha256(image.tobytes()).digest() for image in images]
    order = sorted((i for i in range(len(images)) if digests[i] not in avoid), key=lambda i: (digests[i], i))
    pixels = (images[order] ^ 0x80).view(np.int8)[..., None]        # value - 128
    return Split(pixels, labels[order].astype(np.int64)), frozenset(digests)


def load() -> Task:
    """Pixels in [0, 1] as int8: scale 1/255, zero point -128. Raises InputError when the data cannot be had."""
    test, seen = _part(_read("t10k-images-idx3-ubyte.gz", 3), _read("t10k-labels-idx1-ubyte.gz", 1))
    rest, _ = _part(_read("train-images-idx3-ubyte.gz", 3), _read("train-labels-idx1-ubyte.gz", 1), seen)
    return Task("fashion-mnist", 10, rest[VALIDATION:], rest[:VALIDATION], test, float(np.float32(1 / 255)), -128,
                augment=Augment(roll_rows=2, roll_columns=2, flip=True), start="residual",
                options={"stem": 16, "widths": [32, 64, 128], "strides": [2, 2, 2]},
                schedule=Schedule(prune_epochs=16, finetune_epochs=24, qat_epochs=4, warmup_epochs=1, batch=64, rate=0.1,
                                  width_rate=0.02))
