# SPDX-License-Identifier: Apache-2.0
"""Dead channels: take out of every layer the channels whose values nobody needs. Exact; no retraining.

A channel is dead when its value is known beforehand and every reader can do without it, or when nobody reads it:

1. `ranges` says which channels are constant (a filter of zeros gives the requantized, clamped bias).
2. Backwards, a channel is *needed* when some needed output that is not constant multiplies it with a weight other
   than zero. A constant c is not needed by an output whose weights for it sum to the same at every pattern of padding
   (always so for 1x1 and fully connected layers; for any layer when c is the input's zero point): its share,
   (c - zero point) x sum of weights, goes into the bias.
3. Ops that pass channels on (depthwise, add, pools, views, concatenations) join channels of several tensors into one
   class; a class is *kept* when any of its channels is needed, or belongs to a graph input or output, or to an op
   whose channels cannot be taken out one by one.

Layers on int16 activations keep all their channels: `ranges` knows bytes only.

With a grain above 1 some stay, so that a tensor's count is a multiple of it where it had as many: kernels that take four
channels at a time need more cycles for 15 than for 16.

What is not kept is cut from weights, biases, constants and shapes; at least one channel of a tensor stays, unless its
only reader is a concatenation that has others. A channel that is kept but not needed (it shares a
class with one that is) may hold anything: whoever reads it has zero weights for it.

The MLPerf Tiny vww model loses 83.1 % of its weights and 48.3 % of its multiply-accumulates this way
(research/peers.md section 3.5).
"""
from __future__ import annotations

import numpy as np

from mcunas.compiler.passes.cut_channels import Layer, cut
from mcunas.compiler.passes.links import channels, links
from mcunas.compiler.passes.ranges import accumulators, channel_ranges, requantized
from mcunas.compiler.passes.rewrite import compact, data_positions
from mcunas.compiler.passes.taps import DENSE, WEIGHTED, bias_values, tap_patterns, tap_weights
from mcunas.graph.integer_params import data_input, requant
from mcunas.graph.ir import Graph, Op

_INT32 = (1 << 31) - 1


def dead_channels(graph: Graph, grain: int = 1) -> Graph:
    """The graph without dead channels; every byte of every graph output stays. The argument itself when there are none.

    grain: see above.

    Repeated until nothing is found: zeros in place of absorbed weights can make further channels constant.
    """
    before = None
    while before is not graph:
        before, graph = graph, _without_dead_channels(graph, grain)
    return graph


def _without_dead_channels(graph: Graph, grain: int) -> Graph:
    ranges = channel_ranges(graph)
    layers = {i: _layer(graph, op, ranges) for i, op in enumerate(graph.ops) if op.kind in WEIGHTED}
    needed = _needed(graph, layers)
    kept = _kept(graph, layers, needed, grain)
    if grain == 1 and all(mask.all() for mask in kept.values()):
        return graph
    after = cut(graph, layers, needed, kept)
    return after if after is graph else compact(after)


def _layer(graph: Graph, op: Op, ranges: dict) -> Layer | None:
    """What a layer with weights needs of its input; None for those whose channels cannot be told apart."""
    weights = tap_weights(graph, op)
    if weights is None or data_input(op) not in ranges:
        return None
    p, (low, high), out = requant(graph, op), ranges[data_input(op)], ranges[op.outputs[0]]
    constant = out[0] == out[1]
    bounds = accumulators(graph, op, ranges)
    least = bounds[0].min(axis=0)               # a constant output has its value for any sum that can occur
    constant &= abs(least) <= _INT32
    constant &= requantized(p, np.where(constant, least, 0)) == out[0]
    plain_bias = np.where(constant, least, bias_values(graph, op))
    needs = (weights != 0).any(axis=1) & ~constant[:, np.newaxis]
    share = np.zeros_like(needs, np.int64)
    if op.kind in DENSE:
        sums = np.einsum("pt,otc->poc", tap_patterns(graph, op, weights.shape[1]).astype(np.int64), weights)
        offset = low - p.input_zero_point
        reach = abs(bias_values(graph, op)) + 255 * abs(weights).sum(axis=(1, 2))
        absorbs = (low == high) & ((offset == 0) | ((sums == sums[0]).all(axis=0) & (reach <= _INT32)[:, np.newaxis]))
        needs &= ~absorbs
        share = np.where(absorbs, offset * sums[0], 0)
    return Layer(constant, plain_bias, needs, share)


def _needed(graph: Graph, layers: dict[int, Layer | None]) -> dict[int, np.ndarray]:
    """Tensor index -> bool (C,): the channels whose values reach a graph output."""
    needed = {t: np.zeros(channels(tensor), bool) for t, tensor in enumerate(graph.tensors)}
    for t in graph.outputs:
        needed[t][:] = True
    for index in reversed(range(len(graph.ops))):
        op = graph.ops[index]
        wanted = [needed[t] for t in op.outputs]
        if not any(w.any() for w in wanted):
            continue
        layer, found = layers.get(index), links(graph, op)
        if layer is not None and op.kind in DENSE:
            needed[data_input(op)] |= layer.needs[wanted[0]].any(axis=0)
        elif found is None:
            for position in data_positions(op):
                needed[op.inputs[position]][:] = True
        else:
            active = layer.needs[:, 0] if layer is not None else True
            for link in found:
                read = (needed[link.result] & active)[link.result_channels]
                needed[link.source][link.source_channels[read]] = True
    return needed


def _kept(graph: Graph, layers: dict[int, Layer | None], needed: dict[int, np.ndarray], grain: int) -> dict[int, np.ndarray]:
    """Tensor index -> bool (C,): the channels that stay. None of a tensor whose readers all do without it."""
    classes = _Classes(graph)
    pinned = {*graph.inputs, *graph.outputs}
    for index, op in enumerate(graph.ops):
        if op.kind in WEIGHTED and layers[index] is None:
            pinned.update((data_input(op), op.outputs[0]))
        if op.kind in DENSE:
            continue
        if (found := links(graph, op)) is None:
            pinned.update((*op.outputs, *(op.inputs[i] for i in data_positions(op))))
        else:
            for link in found:
                if link.joined:
                    classes.join(link.source, link.source_channels, link.result, link.result_channels)
    kept = classes.spread({t: np.ones_like(mask) if t in pinned else mask for t, mask in needed.items()})
    while missing := [t for t, mask in kept.items() if not mask.any() and not _dispensable(graph, t, kept)]:
        kept[missing[-1]][0] = True
        kept = classes.spread(kept)
    while uneven := [t for t, mask in kept.items() if mask.any() and not mask.all() and mask.sum() % grain]:
        mask = kept[uneven[0]]
        mask[np.flatnonzero(~mask)[:-mask.sum() % grain]] = True
        kept = classes.spread(kept)
    return kept


def _dispensable(graph: Graph, t: int, kept: dict[int, np.ndarray]) -> bool:
    """Whether every reader goes as well or joins channels of several tensors, of which others stay."""
    for op in (op for op in graph.ops if t in op.inputs):
        stays = any(kept[result].any() for result in op.outputs)
        if stays and (op.kind != "CONCATENATION" or op.attrs["axis"] % len(graph.tensors[t].shape)
                      != len(graph.tensors[t].shape) - 1):
            return False
    return True


class _Classes:
    """Channels of all tensors that carry values, joined into classes (union-find over flat numbers)."""

    def __init__(self, graph: Graph) -> None:
        values = set(graph.activations())
        values.update(op.inputs[i] for op in graph.ops for i in data_positions(op))
        self.base, total = {}, 0
        for t in sorted(values):
            self.base[t] = total
            total += channels(graph.tensors[t])
        self.size = {t: channels(graph.tensors[t]) for t in self.base}
        self.parent = list(range(total))

    def find(self, a: int) -> int:
        while self.parent[a] != a:
            self.parent[a] = self.parent[self.parent[a]]
            a = self.parent[a]
        return a

    def join(self, t: int, t_channels: np.ndarray, u: int, u_channels: np.ndarray) -> None:
        for a, b in zip((self.base[t] + t_channels).tolist(), (self.base[u] + u_channels).tolist()):
            self.parent[self.find(a)] = self.find(b)

    def spread(self, masks: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
        """Each mask widened to whole classes."""
        root = np.array([self.find(a) for a in range(len(self.parent))])
        marked = np.zeros(len(root), bool)
        for t, base in self.base.items():
            marked[root[base:base + self.size[t]][masks[t]]] = True
        return {t: marked[root[base:base + self.size[t]]] for t, base in self.base.items()}
