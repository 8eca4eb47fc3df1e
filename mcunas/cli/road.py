# SPDX-License-Identifier: Apache-2.0
"""The whole road of a search: train and prune, quantize, compile, build, stream the test set through the board, report.

Every step leaves what it made in the run's folder, and a step that finds its own finished work takes it as it is.
"""
from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.quantize.choose import Precision

if TYPE_CHECKING:
    from concurrent.futures import Executor


@dataclass(frozen=True)
class Plan:
    """What to search: names as on the command line. images: most test inputs to stream to the board;
    None = as many as the task's schedule measures. start: the starting net, None = the task's. settings: the method's own.
    jobs: processes for what can be trained apart. blocks_from: a verdict about blocks (search/blockbench), which a space's
    options are taken from. cluster: a dask scheduler whose workers train instead. storage: URL of an Optuna storage for the
    study of a search that asks and tells.
    """

    task: str
    board: Board
    budget: Budget
    method: str
    out: Path
    seed: int = 0
    smoke: bool = False
    resume: bool = True
    images: int | None = None
    start: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    jobs: int = 1
    blocks_from: Path | None = None
    cluster: str | None = None
    storage: str | None = None
    precision: Precision = Precision()

    def command(self) -> str:
        """The command line that runs this again."""
        words = ["mcunas", "search", "--data" if ":" in self.task else "--task", self.task, "--board", self.board.reference,
                 "--method", self.method, "--out", str(self.out), "--seed", str(self.seed)]
        words += ["--model", self.start] if self.start else []
        for name, value in self.settings.items():
            words += ["--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
        words += ["--blocks-from", str(self.blocks_from)] if self.blocks_from else []
        words += ["--precision", self.precision.mode] if self.precision.mode != "int8" else []
        words += ["--activations", self.precision.activations] if self.precision.activations else []
        for name, limit, unit in (("ram", self.budget.ram_bytes, ""), ("flash", self.budget.flash_bytes, ""),
                                  ("latency", self.budget.latency_us, " us")):
            words += [f"--{name}", f"{limit:g}{unit}" if unit else str(limit)] if limit else []
        return shlex.join(words + (["--smoke"] if self.smoke else []))


def travel(plan: Plan) -> dict[str, Any]:
    """Go the road; returns the report (see mcunas.report), which is also in `plan.out`.

    Raises InputError, ToolMissing, DoesNotFit, CheckFailed.
    """
    from mcunas import api, quantize, tasks
    from mcunas.device.proof import decoder_of, for_model, prove
    from mcunas.device.toolchain import tool
    from mcunas.report import content, read_report, update_report
    from mcunas.search.progress import ProgressBars
    from mcunas.tasks import ddp
    from mcunas.tasks.test_reads import open_test

    for program in ("arm-none-eabi-gcc", "qemu-system-arm"):
        tool(program)       # before minutes of training, not after
    task = tasks.load(plan.task)
    find = partial(_search, plan, for_model(plan.budget, plan.board, task))
    if not ddp.is_first():
        find()
        sys.exit(0)         # the first of torchrun's processes goes on alone
    metric = task.objective.metric
    with ProgressBars() as bars:
        result = find(progress=bars)
        model = quantize(result, progress=bars, resume=plan.resume, precision=plan.precision)  # type: ignore[operator]
        image = api.build(plan.out / "model.tflite", plan.board, plan.out / "firmware", budget=plan.budget,
                          decoder=decoder_of(model.graph, task))
        images = open_test(task, plan.out, "board", plan.images or result.schedule.measured_images)
        proof = prove(image, task, images, lambda done: bars("board", done, len(images), {}))
    history = json.loads((plan.out / "history.json").read_text())
    accuracy = {"metric": metric, "float": result.metrics["float_accuracy"], "int8_host": model.metrics["int8_accuracy"],
                "int8_board": proof.on_board[metric], "images": proof.report.inputs, "measures": proof.on_board}
    sections = {**content.of_search(result, history), "accuracy": accuracy,
                **content.of_validation(proof.report, image, plan.budget.for_board(plan.board), result.metrics["dense"]),
                **content.of_model(image, accuracy)}
    update_report(plan.out, image.tflite, f"{plan.task} on {plan.board.key}, {plan.method}", sections, plan.command())
    return read_report(plan.out)


def _search(plan: Plan, budget: Budget, progress: Callable | None = None) -> Any:
    """The finished search, with candidates on the processes or the cluster that the plan asks for. budget: of the model."""
    import mcunas
    from mcunas.search.asktell.cluster import connected

    asked = {"out": plan.out, "seed": plan.seed, "smoke": plan.smoke, "resume": plan.resume, "progress": progress,
             "settings": plan.settings, **_blocks(plan)}
    with connected(plan.cluster) if plan.cluster else nullcontext() as cluster:
        find = partial(mcunas.search, plan.task, plan.board, budget, method=plan.method, start=plan.start, **asked)
        if plan.method != "lana":
            return find(jobs=plan.jobs, executor=cluster, storage=plan.storage)
        with nullcontext(cluster) if cluster else processes(plan.jobs) as executor:
            if executor is None:
                return find()
            return mcunas.accelerate(plan.start, plan.task, plan.board, budget, executor=executor, **asked)


@contextmanager
def processes(count: int) -> Iterator[Executor | None]:
    """An executor with so many of them, for what can be trained apart; none for one."""
    if count == 1:
        yield None
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(count, get_context("spawn")) as executor:
        yield executor


def _blocks(plan: Plan) -> dict[str, Any]:
    """What `mcunas.search` is told of the blocks that a verdict found worthwhile on the board, and of leaving out."""
    if plan.blocks_from is None:
        return {}
    from mcunas.errors import InputError
    from mcunas.search.blockbench.verdict import blocks_for
    from mcunas.search.methods import module_of

    blocks = [*blocks_for(plan.blocks_from, plan.board.key), "skip"]
    module = module_of(plan.method)
    if hasattr(module, "accelerated"):
        return {"settings": {"blocks": blocks, **plan.settings}}
    if hasattr(module, "choose") and not getattr(module, "PARALLEL", False):       # these have factors instead
        return {"options": {"options": blocks}}
    raise InputError(f"method {plan.method!r} chooses no blocks", fix="leave --blocks-from out, or search in a space")
