# SPDX-License-Identifier: Apache-2.0
"""Bits of weights as part of a network: the option conv3x3_w4 is the block conv3x3 with int4 weights.

A layer carries its bits as an attribute, which copies and batch-norm folding keep; one without it has int8 weights. Prices
and quantization read it, so that a genotype is quantized as it was priced.
"""
from __future__ import annotations

from torch import nn

from mcunas.errors import InputError

WEIGHTED = (nn.Conv2d, nn.Linear)
_ATTRIBUTE = "weight_bits"


def marked(block: nn.Module, bits: int) -> nn.Module:
    """The same block; its layers' weights are to have so many bits. Raises InputError where none has weights, or where
    the deployed layers are others."""
    layers = [m for m in block.modules() if isinstance(m, WEIGHTED)]
    if not layers or any(hasattr(m, name) for m in block.modules() for name in ("deployed", "parametrizations")):
        raise InputError(f"the bits of a {type(block).__name__} cannot be chosen", fix="take the option without its bits")
    for layer in layers:
        setattr(layer, _ATTRIBUTE, bits)
    return block


def bits_of(layer: nn.Module) -> int:
    return getattr(layer, _ATTRIBUTE, 8)


def marks(net: nn.Module) -> dict[str, int]:
    """module path -> bits, of layers that do not have eight."""
    return {path: bits for path, m in net.named_modules() if isinstance(m, WEIGHTED) and (bits := bits_of(m)) != 8}
