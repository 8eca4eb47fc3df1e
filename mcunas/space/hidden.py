# SPDX-License-Identifier: Apache-2.0
"""A hidden channel axis inside a block, which can be cut and grown physically: producer -> middle -> consumer."""
from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

Change = Callable[[torch.Tensor, int], torch.Tensor]        # (tensor, axis) -> tensor


class Hidden:
    """The channels that `producer` (convolution or linear) makes and `consumer` reads.

    middle: batch norms and depthwise convolutions between them, which keep the axis.
    """

    def __init__(self, producer: nn.Module, middle: Sequence[nn.Module], consumer: nn.Module) -> None:
        self.producer, self.middle, self.consumer = producer, tuple(middle), consumer

    @property
    def channels(self) -> int:
        return int(self.producer.weight.shape[0])

    @torch.no_grad()
    def importance(self) -> torch.Tensor:
        """(channels,): the size of what a channel adds to the consumer's output.

        Batch norm's |gamma|, or the norm of the producer's row where there is none, times the consumer's weights.
        """
        norms = [m for m in self.middle if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        made = norms[-1].weight.abs() if norms else self.producer.weight.flatten(1).norm(dim=1)
        return made * self.consumer.weight.transpose(0, 1).flatten(1).abs().sum(1)

    def keep(self, index: torch.Tensor) -> None:
        """Keep the channels `index`, in that order; the others are deleted."""
        self._change(lambda tensor, axis: tensor.index_select(axis, index))

    def grow(self, count: int, random: torch.Generator) -> None:
        """Append `count` fresh channels that nothing reads yet (the consumer's weights are 0): the function stays."""
        kept = self.channels

        def appended(tensor: torch.Tensor, axis: int) -> torch.Tensor:
            shape = list(tensor.shape)
            shape[axis] = count
            return torch.cat([tensor, tensor.new_zeros(shape)], axis)

        self._change(appended)
        with torch.no_grad():
            for module in (self.producer, *self.middle):
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.weight[kept:] = 1
                    module.running_var[kept:] = 1
                else:
                    fresh = module.weight[kept:]
                    bound = fresh[0].numel() ** -0.5                    # as torch starts a convolution or linear layer
                    fresh.copy_((torch.rand(fresh.shape, generator=random) * 2 - 1) * bound)

    def _change(self, change: Change) -> None:
        for module in (self.producer, *self.middle):
            for name in ("weight", "bias", "running_mean", "running_var"):
                _replace(module, name, 0, change)
        _replace(self.consumer, "weight", 1, change)
        for module in (self.producer, *self.middle, self.consumer):
            _rename(module)


def _replace(module: nn.Module, name: str, axis: int, change: Change) -> None:
    tensor = getattr(module, name, None)
    if tensor is None:
        return
    changed = change(tensor.detach(), axis)
    setattr(module, name, nn.Parameter(changed) if isinstance(tensor, nn.Parameter) else changed)


def _rename(module: nn.Module) -> None:
    """Make the sizes that a module states agree with its weights."""
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        module.num_features = len(module.weight)
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif module.groups > 1:
        module.in_channels = module.out_channels = module.groups = len(module.weight)
    else:
        module.out_channels, module.in_channels = module.weight.shape[:2]
