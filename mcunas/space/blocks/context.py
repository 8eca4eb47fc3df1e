# SPDX-License-Identifier: Apache-2.0
"""What a block must fit into: the sizes on both of its sides."""
from __future__ import annotations

from dataclasses import dataclass

from mcunas.space.layers import Pair, down


@dataclass(frozen=True)
class Context:
    """size: (H, W) of the input; a width of 1 is a time series. inputs, outputs: channels. stride: along H, and along W
    where there is one."""

    size: Pair
    inputs: int
    outputs: int
    stride: int = 1

    @property
    def is_series(self) -> bool:
        return self.size[1] == 1

    @property
    def strides(self) -> Pair:
        return self.stride, 1 if self.is_series else self.stride

    @property
    def out_size(self) -> Pair:
        return down(self.size, self.strides)

    @property
    def keeps_shape(self) -> bool:
        """Whether input and output are of one shape: then a block may add its input, or be left out."""
        return self.inputs == self.outputs and self.strides == (1, 1)

    def kernel(self, extent: int) -> Pair:
        """(extent, extent), or (extent, 1) on a time series."""
        return extent, 1 if self.is_series else extent
