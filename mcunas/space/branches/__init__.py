# SPDX-License-Identifier: Apache-2.0
"""Multi-branch training blocks: many linear branches while a network trains, one convolution on the board.

    kinds.py        the branches: k x k, 1x1, 1 x k, k x 1, average, 1x1 before k x k, identity; each knows its kernel
    branch_set.py   BranchSet: the branches of one layer, their logits, what of them runs, and their sum as one kernel
    branched.py     Branched: a network with BranchSets for its convolutions; masks of a given number; fusion back

After DiverseBranchBlock (Ding et al., arXiv 2103.13425) and RepNAS (Zhang et al., arXiv 2109.03508). A branch costs training
time and nothing else, so what is limited is the number of branches in the whole network.
"""
from mcunas.space.branches.branch_set import BranchSet
from mcunas.space.branches.branched import Branched

__all__ = ["BranchSet", "Branched"]
