# SPDX-License-Identifier: Apache-2.0
"""Passes: Graph -> Graph, pure, the same bytes out. One file per pass; `optimize` runs them all."""
from mcunas.compiler.passes.figures import PassNote, macs, weight_count
from mcunas.compiler.passes.pipeline import DEAD_CHANNELS, PASSES, Optimized, changes, optimize

__all__ = ["DEAD_CHANNELS", "PASSES", "Optimized", "PassNote", "changes", "macs", "optimize", "weight_count"]
