# SPDX-License-Identifier: Apache-2.0
"""A network as its layers: channels and image size of each, before a search and after it, and a drawing of both."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from mcunas.report.charts import LEFT, RIGHT, opened

if TYPE_CHECKING:
    from torch import nn

FEWEST_PIXELS, TALLEST, GAP = 14, 150, 4      # of a layer's bar; bytes between two


def layers_of(net: nn.Module, input_shape: tuple[int, int, int]) -> dict[str, list[int]]:
    """Module path -> (height, width, channels) of what it gives, in the order of execution, of convolutions and linear
    layers. input_shape: (H, W, C)."""
    import torch
    from torch import nn

    found: dict[str, list[int]] = {}

    def record(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            pixels = list(output.shape[2:]) if output.dim() == 4 else [1, 1]
            found[name] = [*pixels, output.shape[1]]
        return hook

    hooks = [module.register_forward_hook(record(name)) for name, module in net.named_modules()
             if isinstance(module, nn.Conv2d | nn.Linear)]
    height, width, depth = input_shape
    with torch.no_grad():
        net.eval()(torch.zeros(1, depth, height, width))
    for hook in hooks:
        hook.remove()
    return found


def compared(before: Mapping[str, Sequence[int]], after: Mapping[str, Sequence[int]]) -> list[dict[str, Any]]:
    """Of both by path, in the order of `before`; what is only in one has no other side."""
    names = list(before) + [name for name in after if name not in before]
    return [{"name": name, "before": before.get(name), "after": after.get(name)} for name in names]


def drawn(layers: Sequence[Mapping[str, Any]], width: int = 720, height: int = 230) -> str:
    """A bar per layer from input to output, as tall as it has channels: what is there filled, what was there outlined;
    above it the channels, below it the image where its size changes. layers: see `compared`. Empty input: empty string."""
    most = max((side[2] for one in layers for side in (one["before"], one["after"]) if side), default=0)
    if not most:
        return ""
    each = max((width - LEFT - RIGHT) / len(layers), FEWEST_PIXELS)
    width, middle = round(LEFT + RIGHT + each * len(layers)), 22 + TALLEST / 2
    parts, size = [opened(width, height, "channels of each layer, before and after")], None
    for i, one in enumerate(layers):
        x, sides = LEFT + i * each, {"before": one["before"], "after": one["after"]}
        shown = sides["after"] or sides["before"]
        said = f"{one['name']}: " + ", ".join(
            f"{which} {side[0]}x{side[1]}x{side[2]}" if side else f"not {which}" for which, side in sides.items())
        for which, side in sides.items():
            if side:
                tall = max(TALLEST * side[2] / most, 1.5)
                style = "fill s0" if which == "after" else "line s1 dashed"
                parts.append(f'<rect class="{style}" x="{x:.1f}" y="{middle - tall / 2:.1f}" width="{each - GAP:.1f}" '
                             f'height="{tall:.1f}"><title>{escape(said)}</title></rect>')
        if each >= 20 or i % 2 == 0:
            parts.append(f'<text class="tick" x="{x + (each - GAP) / 2:.1f}" y="14" text-anchor="middle">{shown[2]}</text>')
        if list(shown[:2]) != size:
            size = list(shown[:2])
            parts.append(f'<text class="tick" x="{x:.1f}" y="{height - 34 + 14 * (i % 2)}">{size[0]}×{size[1]}</text>')
    return "".join(parts) + "</svg>"
