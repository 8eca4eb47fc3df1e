# SPDX-License-Identifier: Apache-2.0
"""Cost of a Graph on a Board: RAM exact, flash from measured code sizes, cycles from a fitted model, energy estimated.

`estimate` prices our own ahead-of-time C, `estimate_tflm` the same Graph in TensorFlow Lite Micro.
"""
from mcunas.cost.estimate import Cost, estimate
from mcunas.cost.tflm import estimate_tflm

__all__ = ["Cost", "estimate", "estimate_tflm"]
