# SPDX-License-Identifier: Apache-2.0
"""A torch module of the user -> float .tflite, by our own lowering; then it goes the way of every other model."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mcunas.convert.bridge import Foreign
from mcunas.errors import InputError
from mcunas.graph import write_tflite
from mcunas.graph.torch_lower import lower
from mcunas.named import call_named

_COMPARED = 4       # samples that the module itself runs on
_NHWC = {4: (0, 2, 3, 1)}


def convert_module(name: str, samples: Mapping[str, np.ndarray], data: Path) -> Foreign:
    """name: module:function. samples: one array (N, C, H, W) or (N, F). Raises InputError."""
    module = call_named(name)
    if not isinstance(module, nn.Module):
        raise InputError(f"returns a {type(module).__name__}, not a torch module", name)
    if len(samples) != 1:
        raise InputError(f"holds {len(samples)} arrays, but a torch module takes one input here", str(data))
    images = torch.from_numpy(next(iter(samples.values())).astype(np.float32))
    if len(images) == 0:
        raise InputError("holds 0 samples", str(data))
    try:
        with torch.no_grad():
            answers = [module.eval()(images[i:i + 1]) for i in range(min(_COMPARED, len(images)))]
    except Exception as error:          # the user's own code may raise any
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"the module does not take it ({reason})", str(data),
                         "give inputs as the module takes them, samples first") from None
    graph = lower(module, images[:1], name.rpartition(":")[2]).graph
    outputs = [a if isinstance(a, tuple | list) else (a,) for a in answers]
    shape = tuple(images[:1].shape)
    return Foreign(write_tflite(graph, floats=True), [(graph.tensors[graph.inputs[0]].name, shape)],
                   [_NHWC.get(len(shape), tuple(range(len(shape))))],
                   {(i, k): o.numpy() for i, one in enumerate(outputs) for k, o in enumerate(one)}, {})
