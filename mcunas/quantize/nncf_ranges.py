# SPDX-License-Identifier: Apache-2.0
"""NNCF: where quantizers go and what ranges they start from (post-training), and the quantizer modules that learn them.

Two adjustments keep NNCF usable in a deterministic run of a few seconds: its telemetry is not there (NNCF_CI stops what it
sends, but not the identity that it writes into the home folder), and its quantizer functions run on plain torch operators
instead of a C++ extension that would be compiled at first use (same arithmetic; measured 46 ms a step against 42 ms).
"""
from __future__ import annotations

import contextlib
import io
import logging
import re
import sys
from types import SimpleNamespace

import torch
from torch import fx, nn

sys.modules.setdefault("openvino_telemetry", None)      # looked for once, when NNCF is imported

import nncf  # noqa: E402
from nncf.common.quantization.structs import QuantizationScheme  # noqa: E402
from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, QuantizationParameters  # noqa: E402
from nncf.torch.quantization import quantize_functions  # noqa: E402
from nncf.torch.quantization.layers import (  # noqa: E402
    AsymmetricQuantizer,
    BaseQuantizer,
    PTQuantizerSpec,
    SymmetricQuantizer,
)
from nncf.torch.quantization.reference import torch_executor  # noqa: E402

quantize_functions.QuantizedFunctionsCPU._loaded_namespace = SimpleNamespace(
    Quantize_forward=torch_executor.forward, Quantize_backward=torch_executor.backward)
nncf.set_log_level(logging.ERROR)

_HOOK = re.compile(r"(?P<side>pre|post)_hooks\.net/(?P<node>[^/]+)/.*__(?P<port>\d+)\.\d+$")
_INPUT = re.compile(r"post_hooks\.(?P<node>[^/]+)__0\.\d+$")


class _Outer(nn.Module):
    """NNCF takes an fx.GraphModule for another backend; a plain module around it goes the way of training."""

    def __init__(self, net: fx.GraphModule) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


def place(flat: fx.GraphModule, images: torch.Tensor) -> tuple[dict[str, tuple[float, float]], dict[str, torch.Tensor]]:
    """Let NNCF quantize `flat`, whose every node is a module of its own name, on calibration `images` (N, C, H, W).

    Returns (node -> (low, high) for each activation quantizer, node -> per-channel largest magnitude for each weight).
    """
    parts = list(images.split(64))
    parameters = AdvancedQuantizationParameters(
        activations_quantization_params=QuantizationParameters(per_channel=False, mode=QuantizationScheme.ASYMMETRIC),
        disable_bias_correction=True)
    with contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        done = nncf.quantize(_Outer(flat).eval(), nncf.Dataset(parts), subset_size=len(parts),
                             advanced_parameters=parameters)
    ranges: dict[str, tuple[float, float]] = {}
    weights: dict[str, torch.Tensor] = {}
    for name, module in done.named_modules():
        if not isinstance(module, BaseQuantizer):
            continue
        found = _HOOK.search(name) or _INPUT.search(name)
        if found is None:
            continue
        low, high = (v.detach() for v in module.get_input_low_input_high())
        if found.groupdict().get("side") == "pre":
            if isinstance(module, SymmetricQuantizer) and found["port"] == "1":
                weights[found["node"]] = high.flatten()
        elif low.numel() == 1:
            ranges[found["node"]] = (float(low), float(high))
    return ranges, weights


class _WholeSteps(AsymmetricQuantizer):
    """NNCF's quantizer with its least value a whole number of steps from zero, as int8 has it.

    NNCF leaves the range as learned where the zero point rounds to an end of the levels: then its network works with all
    values shifted by up to half a step, and the deployed one does not.
    """

    def quantize(self, x: torch.Tensor, execute_traced_op_as_identity: bool = False) -> torch.Tensor:
        low, extent = quantize_functions.TuneRange.apply(self.input_low, self.input_range.abs() + self.eps, self.levels)
        step = extent / (self.levels - 1)
        low = low + (torch.round(low / step) * step - low).detach()
        return quantize_functions.QuantizeAsymmetric.apply(x, low, extent, self.level_low, self.level_high, self.levels)


def activation_quantizer(low: float, high: float, from_zero: bool = False) -> AsymmetricQuantizer:
    """NNCF's learnable int8 quantizer for a whole tensor, at a range that is widened to include zero.

    from_zero: the range begins there for good. Of what a ReLU gives, steps below it are lost and ask its kernel for a limit.
    """
    quantizer = _WholeSteps(PTQuantizerSpec(8, QuantizationScheme.ASYMMETRIC, None, narrow_range=False,
                                            half_range=False, scale_shape=(1,), logarithm_scale=True))
    low, high = 0.0 if from_zero else min(low, 0.0), max(high, 0.0)
    quantizer.input_low.requires_grad_(not from_zero)
    with torch.no_grad():
        quantizer.input_low.fill_(low)
        quantizer._input_range_param_storage.fill_(max(high - low, 1e-6)).log_()
    return quantizer


def weight_quantizer(magnitude: torch.Tensor, rank: int, axis: int, bits: int = 8) -> SymmetricQuantizer:
    """NNCF's learnable quantizer per output channel, or for all: levels -127..127, with 4 bits -7..7. magnitude: (C,) or
    (1,), the value of the highest level."""
    shape = tuple(len(magnitude) if a == axis else 1 for a in range(rank))
    quantizer = SymmetricQuantizer(PTQuantizerSpec(bits, QuantizationScheme.SYMMETRIC, True, narrow_range=True,
                                                   half_range=False, scale_shape=shape, logarithm_scale=True))
    with torch.no_grad():
        quantizer._scale_param_storage.copy_(magnitude.clamp_min(1e-6).log().view(shape))
    return quantizer


def wide_quantizer(low: float, high: float) -> SymmetricQuantizer:
    """NNCF's learnable int16 quantizer for a whole tensor: levels -32767..32767, zero at zero."""
    quantizer = SymmetricQuantizer(PTQuantizerSpec(16, QuantizationScheme.SYMMETRIC, True, narrow_range=True,
                                                   half_range=False, scale_shape=(1,), logarithm_scale=True))
    with torch.no_grad():
        quantizer._scale_param_storage.fill_(max(abs(low), abs(high), 1e-6)).log_()
    return quantizer


def activation_quant(quantizer: AsymmetricQuantizer) -> tuple[float, int]:
    """(scale, zero point) on int8 of what was learned."""
    _, _, scale, zero_point = quantizer.get_parameters_for_torch_fq()       # on uint8
    return float(scale), int(zero_point) - 128


def weight_scale(quantizer: SymmetricQuantizer) -> torch.Tensor:
    """Scales, (C,) or (1,), of what was learned."""
    return quantizer.get_parameters_for_torch_fq()[2].detach()
