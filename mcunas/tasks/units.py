# SPDX-License-Identifier: Apache-2.0
"""What a metric is measured in: signal-to-noise ratios (PSNR) are in decibels, all others are shares."""
from __future__ import annotations


def unit_of(metric: str) -> str:
    """ "dB" or "share"."""
    return "dB" if metric.endswith("SNR") else "share"


def written(metric: str, value: float) -> str:
    """As a person reads it: 25.13 dB, 25.13%."""
    return f"{value:.2f} dB" if unit_of(metric) == "dB" else f"{value:.2%}"


def axis(metric: str) -> tuple[float, str]:
    """(what a value is multiplied by, what stands beside it) in a picture."""
    return (1.0, f"{metric}, dB") if unit_of(metric) == "dB" else (100.0, f"{metric}, %")
