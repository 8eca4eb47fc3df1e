# SPDX-License-Identifier: Apache-2.0
"""profile: where the instructions and cycles of one inference go, layer by layer and kernel by kernel.

Executions are exact (counts.py). A layer is told by the line of model.c that called, so kernels that serve several
layers, and layers that stream row by row in one loop, keep their own counts. Cycles are a model (mcunas/cost/cycles.py).
"""
from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from mcunas.cost.cycles import Block, Cycles, price
from mcunas.cost.thumb import CLASSES
from mcunas.device.build import Image
from mcunas.device.counts import Run, count
from mcunas.device.disassembly import Code, disassemble
from mcunas.device.toolchain import tool
from mcunas.errors import CheckFailed

_CALL = re.compile(r"\b(mn_\w+)\(&p(\d+)_(\d+)\b")


@dataclass(frozen=True)
class Share:
    """What some calls of kernels execute. mix: instructions of each of CLASSES. cycles: modelled, typical; low and high
    with the core's figures at their least and most."""

    macs: int
    instructions: int
    cycles: int
    low: int
    high: int
    mix: dict[str, int]


@dataclass(frozen=True)
class LayerShare(Share):
    """index, kind and name of the op as compiled. step: of the schedule; layers of one step stream row by row.
    ram_bytes: live in the arena during that step. kernels: what computes it."""

    index: int
    kind: str
    name: str
    step: int
    ram_bytes: int
    kernels: tuple[str, ...]


@dataclass(frozen=True)
class Profile:
    """layers in order of the ops; `overhead` is the code between the calls. kernels: by name, over all layers.

    timer_instructions: the emulated timer's count of the same inference, which leaves out the return.
    """

    board: str
    model: str
    optimize: str
    layers: tuple[LayerShare, ...]
    kernels: dict[str, Share]
    overhead: Share
    total: Share
    timer_instructions: int
    error_percent: float
    cycles_source: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def profile(image: Image, seed: int = 0) -> Profile:
    """Count one inference on pseudo-random input. Raises InputError, ToolMissing, CheckFailed."""
    counts, code = count(image, seed), disassemble(image.elf, image.board)
    calls = _calls(image, {run.site for run in counts.blocks} - {0})
    parts: dict[tuple[int, str] | None, list[Run]] = {None: []}
    for run in counts.blocks:
        parts.setdefault(calls[run.site] if run.site else None, []).append(run)
    layers = image.manifest["layers"]
    shares = []
    for layer in layers:
        runs = [run for key, part in parts.items() if key and key[0] == layer["index"] for run in part]
        shares.append(LayerShare(**vars(_share(image, code, runs, layer["macs"])), index=layer["index"], kind=layer["kind"],
                                 name=layer["name"], step=layer["step"], ram_bytes=layer["live_bytes"],
                                 kernels=tuple(dict.fromkeys(layer["kernels"]))))
    kernels = {}
    for name in sorted({key[1] for key in parts if key}):
        runs = [run for key, part in parts.items() if key and key[1] == name for run in part]
        kernels[name] = _share(image, code, runs, sum(layer["macs"] for layer in layers if name in layer["kernels"]))
    model = image.board.cycle_model
    return Profile(image.board.key, image.manifest["model"], image.manifest["optimize"], tuple(shares), kernels,
                   _share(image, code, parts[None], 0),
                   _share(image, code, counts.blocks, sum(layer["macs"] for layer in layers)),
                   counts.timer_instructions, model.error_percent, cycles_source(image))


def cycles_source(image: Image) -> str:
    model = image.board.cycle_model
    return (f"modelled: executions counted in QEMU, priced by the instruction timings of {model.core} "
            f"(±{model.error_percent:g} %), " + ("flash as the board file says" if image.board.fetch
                                                 else "memory without wait states"))


def _calls(image: Image, sites: Iterable[int]) -> dict[int, tuple[int, str]]:
    """Call in invoke -> (op, kernel), by the source line it was compiled from. Raises CheckFailed."""
    sites = sorted(sites)
    done = subprocess.run([tool("arm-none-eabi-addr2line"), "-e", str(image.elf), *map(hex, sites)], capture_output=True,
                          text=True, check=True)
    source = (image.folder / "model.c").read_text().splitlines()
    found = {}
    for site, place in zip(sites, done.stdout.splitlines(), strict=True):
        number = place.rpartition(":")[2].split(" ")[0]
        match = _CALL.search(source[int(number) - 1]) if number.isdigit() and int(number) > 0 else None
        if match is None:
            raise CheckFailed(f"the call at {site:#x} in invoke belongs to no layer ({place})", where=image.board.key)
        found[site] = int(match[2]), match[1]
    return found


def _share(image: Image, code: Code, runs: Iterable[Run], macs: int) -> Share:
    blocks = [Block(code.span(run.start, run.size), run.runs, run.taken) for run in runs]
    mix = dict.fromkeys(CLASSES, 0)
    for block in blocks:
        for one in block.instructions:
            mix[one.class_] += block.runs
    cycles: Cycles = price(blocks, image.board.cycle_model.timing, image.board.fetch)
    return Share(macs, sum(mix.values()), round(cycles.typical), round(cycles.low), round(cycles.high), mix)
