# SPDX-License-Identifier: Apache-2.0
"""profile: where the instructions and cycles of one inference go, layer by layer and kernel by kernel.

Executions are exact (counts.py). A layer is told by the line of model.c that called, so kernels that serve several
layers, and layers that stream row by row in one loop, keep their own counts; so do kernels inlined into invoke.
Cycles are a model (mcunas/cost/cycles.py).
"""
from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, NamedTuple

from mcunas.cost.cycles import Block, Cycles, price
from mcunas.cost.thumb import CLASSES, Instruction
from mcunas.device.build import Image
from mcunas.device.counts import Run, count
from mcunas.device.disassembly import Code, disassemble
from mcunas.device.stand_in import emulated
from mcunas.device.toolchain import tool
from mcunas.errors import CheckFailed

_CALL = re.compile(r"\b(mn_\w+)\(&p(\d+)_\d+\b")


class _Call(NamedTuple):
    op: int
    kernel: str


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
    """layers in order of the ops; `overhead` is what lies between the calls. kernels: by name, over all layers.

    timer_instructions: the emulated timer's count of the same inference, which leaves out the return.
    """

    board: str
    model: str
    optimize: str
    layers: tuple[LayerShare, ...]
    kernels: dict[str, Share]
    overhead: Share
    total: Share
    timer_instructions: int | None
    error_percent: float
    cycles_source: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def profile(image: Image, seed: int = 0) -> Profile:
    """Count one inference on pseudo-random input. Raises InputError, ToolMissing, CheckFailed."""
    image = emulated(image)
    counts = count(image, seed)
    blocks = list(_blocks(counts.blocks, image, disassemble(image.elf, image.board)))
    layers = image.manifest["layers"]
    shares = [LayerShare(**vars(_share(image, (b for c, b in blocks if c and c.op == layer["index"]), layer["macs"])),
                         index=layer["index"], kind=layer["kind"], name=layer["name"], step=layer["step"],
                         ram_bytes=layer["live_bytes"], kernels=tuple(dict.fromkeys(layer["kernels"])))
              for layer in layers]
    kernels = {name: _share(image, (b for c, b in blocks if c and c.kernel == name),
                            sum(layer["macs"] for layer in layers if name in layer["kernels"]))
               for name in sorted({call.kernel for call, _ in blocks if call})}
    model = image.board.cycle_model
    return Profile(image.board.key, image.manifest["model"], image.manifest["optimize"], tuple(shares), kernels,
                   _share(image, (b for c, b in blocks if c is None), 0),
                   _share(image, (b for _, b in blocks), sum(layer["macs"] for layer in layers)),
                   counts.timer_instructions, model.error_percent, cycles_source(image))


def executed(image: Image, seed: int = 0) -> tuple[int, Cycles]:
    """(instructions, their modelled cycles) of one inference on pseudo-random input. Raises as `profile` does."""
    image = emulated(image)
    counts, code = count(image, seed), disassemble(image.elf, image.board)
    blocks = [_block(run, code.span(run.start, run.size)) for run in counts.blocks]
    return (sum(block.runs * len(block.instructions) for block in blocks),
            price(blocks, image.board.cycle_model.timing, image.board.fetch))


def cycles_source(image: Image) -> str:
    """What modelled cycles rest on, for whoever reads them."""
    model = image.board.cycle_model
    return (f"modelled: executions counted in QEMU, priced by the instruction timings of {model.basis} "
            f"(±{model.error_percent:g} %), " + ("flash as the board file says" if image.board.fetch
                                                 else "memory without wait states"))


def _blocks(runs: Iterable[Run], image: Image, code: Code) -> Iterator[tuple[_Call | None, Block]]:
    """The counted blocks with the call that each belongs to. Invoke's own code holds the calls' arguments and, where
    model and kernels are optimized as one program, whole kernels: it is told apart instruction by instruction."""
    spans = [(run, code.span(run.start, run.size)) for run in runs]
    addresses = {run.site for run, _ in spans if run.site}
    addresses |= {one.address for run, span in spans if not run.site for one in span}
    calls = _calls(image, addresses)
    for run, span in spans:
        if run.site:
            if calls[run.site] is None:
                raise CheckFailed(f"the call at {run.site:#x} in invoke belongs to no layer", where=image.board.key)
            yield calls[run.site], _block(run, span)
            continue
        pieces = [(call, tuple(piece)) for call, piece in groupby(span, key=lambda one: calls[one.address])]
        for call, piece in pieces[:-1]:
            yield call, Block(piece, run.runs, 0)
        yield pieces[-1][0], _block(run, pieces[-1][1])


def _block(run: Run, instructions: tuple[Instruction, ...]) -> Block:
    return Block(instructions, run.runs, run.taken, run.jump_lines, run.next_lines, run.data_lines)


def _calls(image: Image, addresses: Iterable[int]) -> dict[int, _Call | None]:
    """The call of a kernel in model.c that each address was compiled from, through inlining; None: between the calls."""
    source = (image.folder / "model.c").read_text().splitlines()
    done = subprocess.run([tool("arm-none-eabi-addr2line"), "-a", "-i", "-e", str(image.elf)], capture_output=True,
                          text=True, check=True, input="".join(f"{address:#x}\n" for address in sorted(addresses)))
    found: dict[int, _Call | None] = {}
    for part in re.split(r"^(?=0x[0-9a-f]+$)", done.stdout, flags=re.MULTILINE)[1:]:
        address, *frames = part.splitlines()
        outermost = re.search(r"(?:^|/)model\.c:(\d+)", frames[-1])
        match = _CALL.search(source[int(outermost[1]) - 1]) if outermost and int(outermost[1]) else None
        found[int(address, 16)] = _Call(int(match[2]), match[1]) if match else None
    return found


def _share(image: Image, blocks: Iterable[Block], macs: int) -> Share:
    blocks = tuple(blocks)
    mix = dict.fromkeys(CLASSES, 0)
    for block in blocks:
        for one in block.instructions:
            mix[one.class_] += block.runs
    cycles = price(blocks, image.board.cycle_model.timing, image.board.fetch)
    return Share(macs, sum(mix.values()), round(cycles.typical), round(cycles.low), round(cycles.high), mix)
