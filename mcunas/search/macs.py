# SPDX-License-Identifier: Apache-2.0
"""An arm for tables: diffprune that sees multiply-accumulates only, then the same exact projection onto the budgets.

Its target is what the uniform network that fits all budgets takes: the knob that someone without cost tables would turn.
"""
from __future__ import annotations

import torch

from mcunas.budget import Budget
from mcunas.compiler.features import FEATURES, op_features
from mcunas.cost.skeleton import Skeleton
from mcunas.prune.constraints import Constraints
from mcunas.prune.resources import Usage
from mcunas.search import diffprune
from mcunas.search.run import Run
from mcunas.search.uniform import uniform_widths

_UNLIMITED = 2**60
_MACS = FEATURES.index("macs")


def macs(skeleton: Skeleton, widths: torch.Tensor) -> torch.Tensor:
    """Multiply-accumulates of one inference at widths (G,); differentiable."""
    w, total = list(widths.unbind()), torch.zeros(())
    for op in skeleton.graph.ops:
        shapes = [skeleton.shape(t, w) if t >= 0 else () for t in op.inputs]
        total = total + op_features(op.kind, op.attrs, shapes, skeleton.shape(op.outputs[0], w))[_MACS]
    return total


def shape(run: Run) -> None:
    """Learn widths under one budget of multiply-accumulates, then project."""
    skeleton, nothing = run.resources.skeleton, torch.zeros(1)
    target = macs(skeleton, torch.tensor(uniform_widths(run, run.dense_widths), dtype=torch.float32))
    start = macs(skeleton, torch.tensor(run.dense_widths, dtype=torch.float32))
    constraints = Constraints(Budget(_UNLIMITED, _UNLIMITED, float(target)), Usage(1, 1, float(start), (1,)))
    diffprune.prune(run, constraints, lambda widths: (nothing, nothing[0], macs(skeleton, widths)))
