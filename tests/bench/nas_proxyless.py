# SPDX-License-Identifier: Apache-2.0
"""ProxylessNAS (nas-methods.md, paper 7): one path's memory whatever the number of candidates, and networks as good.

Arms are the update of two, the full one and REINFORCE; random search and one option always are those of the other
experiments, which are the same contest. Memory is what autograd keeps for the backward pass of an architecture step, each
storage once, at its peak, weights left out; of the heaviest path, since which one is drawn is chance.
"""
from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from mcunas.space import sampling
from mcunas.space import space as spaces
from mcunas.space.choice import ChoiceBlock, Gate
from mcunas.space.supernet import Supernet
from tests.bench.measure import markdown
from tests.bench.nas import Arm
from tests.bench.nas_report import Rows, baselines, beats, gates, of, percent, picture, say, table, words
from tests.saved_bytes import SavedBytes

ARMS = {
    "two": Arm("proxyless", note="two drawn options move against each other"),
    "full": Arm("proxyless", {"update": "full", "rate": 0.1}, note="all options of a slot move"),
    "reinforce": Arm("proxyless", {"update": "reinforce", "rate": 0.1},
                     note="eight drawn networks scored for each step"),
}
# The heaviest first: what is added never makes the heaviest path heavier.
CANDIDATES = ("mb3_e3", "conv3x3", "conv1x1", "ds3", "ds5", "ghost", "mb5_e3", "skip")
COUNTS, BATCH, REPEATS = (2, 4, 6, 8), 64, 5


def extra(folder: Path, quick: bool, stop: Any) -> dict[str, Any]:
    """Peak saved bytes and seconds of an architecture step, per way to draw gates and number of candidates."""
    kept = folder / "memory.json"
    if not kept.exists():
        rows = [{"candidates": n, **{how: step(n, draw) for how, draw in WAYS.items()}} for n in COUNTS]
        kept.write_text(json.dumps({"memory": rows}, indent=1) + "\n")
    return json.loads(kept.read_text())


def _heaviest(block: ChoiceBlock, pair: bool) -> Gate:
    """What `sampling.binary` or `binary_pair` gives when the heaviest option is the active one."""
    probs = block.probs()
    one_hot = F.one_hot(torch.tensor(0), len(block.names)) + probs - probs.detach()
    return Gate((0, 1) if pair else block.alive, one_hot, is_binary=True)


WAYS = {"two": lambda block: _heaviest(block, True), "full": lambda block: _heaviest(block, False),
        "mixture": sampling.mixture}


def step(count: int, draw: sampling.Draw) -> dict[str, float]:
    """{"bytes": peak, "seconds": the least of a few}, on the images space, weights as an architecture step leaves them."""
    torch.manual_seed(0)
    net = Supernet(spaces.load("images", {"options": list(CANDIDATES[:count])}, (28, 28, 1), 10))
    images, labels = torch.randn(BATCH, 1, 28, 28), torch.randint(10, (BATCH,))
    for parameter in net.weights():
        parameter.requires_grad_(False)
    peak, seconds = 0, []
    for _ in range(REPEATS):
        started = time.process_time()
        with SavedBytes(net.parameters()) as meter:
            F.cross_entropy(net(images, net.gates(draw)), labels).backward()
        seconds.append(time.process_time() - started)
        peak = max(peak, meter.peak_bytes)
    return {"bytes": peak, "seconds": min(seconds)}


def report(rows: Rows, extra: dict[str, Any]) -> tuple[str, dict[str, str]]:
    others, notes = baselines()
    everything = [*rows, *others]
    text = ["# ProxylessNAS: one path in memory\n", words("proxyless"), "",
            table(everything, {**{n: a.note for n, a in ARMS.items()}, **notes}), "## Memory\n", _memory(extra),
            "## Expectations\n", "\n".join([*gates(rows), *_expected(rows, everything, extra)]) + "\n",
            "![accuracy over latency](nas-proxyless.svg)\n"]
    return "\n".join(text), {"nas-proxyless.svg": picture(everything, [*ARMS, *notes])}


def _memory(extra: dict[str, Any]) -> str:
    lines = [[r["candidates"], *(f"{r[how]['bytes'] / 2**20:.2f}" for how in WAYS),
              *(f"{1e3 * r[how]['seconds']:.0f}" for how in WAYS)] for r in extra.get("memory", ())]
    return (f"An architecture step on {BATCH} images of 28x28 through six slots of space \"images\": MiB that autograd "
            "keeps, at most, when every slot takes its heaviest option; and CPU milliseconds.\n\n"
            + markdown(["candidates", *(f"MiB, {h}" for h in WAYS), *(f"ms, {h}" for h in WAYS)], lines))


def _expected(rows: Rows, everything: Rows, extra: dict[str, Any]) -> list[str]:
    lines = []
    for how in ("two", "full") if extra.get("memory") else ():
        found = [r[how]["bytes"] for r in extra["memory"]]
        lines.append(say(f"memory of update {how} is flat from {COUNTS[0]} to {COUNTS[-1]} candidates: "
                         f"{100 * (max(found) / min(found) - 1):.1f} % apart, at most 5", max(found) <= 1.05 * min(found)))
    if extra.get("memory"):
        growth = extra["memory"][-1]["mixture"]["bytes"] / extra["memory"][0]["mixture"]["bytes"]
        lines.append(say(f"a mixture's grows: {growth:.2f} times", growth > 1.5))
    for arm in ARMS:
        lines += beats(everything, arm, "random")
    always = {r["arm"] for r in everything if r["arm"].startswith("always-")}
    if always and of(rows, "two"):
        best = max(always, key=lambda a: sum(r["int8_accuracy"] for r in of(everything, a)) / len(of(everything, a)))
        gap = float(percent(of(rows, "two")).split()[0]) - float(percent(of(everything, best)).split()[0])
        lines.append(say(f"within 0.5 points of the best single option, {best}: {gap:+.2f}", gap >= -0.5))
    return lines
