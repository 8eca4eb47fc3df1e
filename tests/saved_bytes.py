# SPDX-License-Identifier: Apache-2.0
"""Bytes that a backward pass keeps alive: what a supernet's memory is when its activations, not its weights, are counted."""
from __future__ import annotations

from collections.abc import Iterable

import torch
from torch.autograd.graph import saved_tensors_hooks


class SavedBytes(saved_tensors_hooks):
    """Within `with`, counts the storages that autograd holds, each once, however many nodes share it.

    weights: are not counted. peak_bytes: the most that was held at any moment.
    """

    def __init__(self, weights: Iterable[torch.Tensor]) -> None:
        self._ignored = {w.untyped_storage().data_ptr() for w in weights}
        self._holders: dict[int, int] = {}
        self.now_bytes = self.peak_bytes = 0
        super().__init__(self._pack, lambda saved: saved.tensor)

    def __enter__(self) -> SavedBytes:
        super().__enter__()
        return self

    def _pack(self, tensor: torch.Tensor) -> _Saved:
        return _Saved(self, tensor)

    def hold(self, tensor: torch.Tensor, count: int) -> None:
        """One holder more, or one less, of the tensor's storage."""
        storage = tensor.untyped_storage()
        key = storage.data_ptr()
        if key in self._ignored:
            return
        before = self._holders.get(key, 0)
        self._holders[key] = before + count
        if before == 0 or before + count == 0:
            self.now_bytes += count * storage.nbytes()
            self.peak_bytes = max(self.peak_bytes, self.now_bytes)


class _Saved:
    """What autograd keeps; it goes when the node that asked for it has run."""

    def __init__(self, meter: SavedBytes, tensor: torch.Tensor) -> None:
        self.meter, self.tensor = meter, tensor
        meter.hold(tensor, 1)

    def __del__(self) -> None:
        self.meter.hold(self.tensor, -1)
