# SPDX-License-Identifier: Apache-2.0
"""What a search leaves behind: genotype.json, model.pt, history.json, metrics.json; and how to read it back."""
from __future__ import annotations

import io
import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mcunas.atomic import write_file
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.cost import Cost
from mcunas.errors import InputError
from mcunas.prune.sized import as_deployed, narrowed
from mcunas.search.state import State
from mcunas.space import Genotype
from mcunas.space.price import usage
from mcunas.tasks import Schedule, Task
from mcunas.tasks.test_reads import open_test
from mcunas.tasks.training import measures, score


@dataclass(frozen=True, eq=False)
class Result:
    """genotype: widths, or choices in a space. cost: of its int8 Graph. metrics: accuracies, ledger, versions.

    model: the trained float network (evaluation mode). out: the folder that holds it all.
    """

    genotype: Genotype
    cost: Cost
    metrics: dict[str, Any]
    model: nn.Module
    task: str
    board: Board
    budget: Budget
    seed: int
    schedule: Schedule
    out: Path

    @staticmethod
    def load(out: str | Path) -> Result:
        """The finished search in a folder. Raises InputError when there is none."""
        out = Path(out)
        try:
            metrics = json.loads((out / "metrics.json").read_text())
            asked = metrics["asked"]
            cost = Cost(**{**metrics["cost"], "live_bytes_per_op": tuple(metrics["cost"]["live_bytes_per_op"])})
            weights = torch.load(out / "model.pt", weights_only=True)
            schedule, budget = Schedule(**asked["schedule"]), Budget(**asked["budget"])
        except Exception as error:
            raise InputError(f"holds no finished search ({type(error).__name__})", where=str(out),
                             fix="run the search to its end first") from None
        genotype = Genotype.load(out / "genotype.json")
        return Result(genotype, cost, metrics, build_model(genotype, weights), asked["task"],
                      Board.load(asked["board_file"]), budget, asked["seed"], schedule, out)


def build_model(genotype: Genotype, weights: dict[str, torch.Tensor]) -> nn.Module:
    """The genotype's network with these weights, in evaluation mode. Raises InputError when they do not fit."""
    net = as_deployed(genotype)
    try:
        narrowed(net, genotype)
        net.load_state_dict(weights)
    except (RuntimeError, IndexError) as error:
        raise InputError(f"the weights do not fit the genotype ({str(error).splitlines()[0]})",
                         fix="run the search again") from None
    return net.eval()


def finish(run: State, task: Task, cost: Cost, start: Any, **own: Any) -> Result:
    """Measure the trained network, reading the test split once, and write the artefacts of a finished search; metrics.json
    comes last and stands for all of them.

    task: with its test split. cost: of the deployed graph. start: what the start takes (ram_bytes, flash_bytes, latency_us).
    own: the road's own metrics.
    """
    board = str(run.board.path.resolve()) if run.board.is_own else run.board.key
    asked = {"task": run.task.name, "board": run.board.key, "board_file": board, "budget": asdict(run.budget),
             "method": run.method, "seed": run.seed, "schedule": asdict(run.schedule), "settings": run.settings,
             "fingerprint": run.fingerprint()}
    metric, tested = task.objective.metric, measures(run.net, task, open_test(task, run.out, "float"))
    metrics = {
        "asked": asked, "cost": asdict(cost), "validation_accuracy": score(run.net, run.task, run.task.validation),
        "metric": metric, "float_accuracy": tested[metric], "float_measures": tested, "test_images": len(task.test),
        "budget_use": usage(cost, run.budget), "dense_over_budget": usage(start, run.budget),
        "parameters": sum(p.numel() for p in run.net.parameters()), "ledger": asdict(run.ledger),
        "versions": {"torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version()},
        "threads": torch.get_num_threads(), "facts": run.facts, **own,
    }
    genotype = run.genotype()
    genotype.save(run.out / "genotype.json")
    write_file(run.out / "history.json", json.dumps(run.history, indent=1) + "\n")
    weights = io.BytesIO()
    torch.save(run.net.state_dict(), weights)
    write_file(run.out / "model.pt", weights.getvalue())
    write_file(run.out / "metrics.json", json.dumps(metrics, indent=1) + "\n")
    return Result(genotype, cost, metrics, run.net.eval(), run.task.name, run.board, run.budget, run.seed, run.schedule,
                  run.out)
