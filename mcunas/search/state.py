# SPDX-License-Identifier: Apache-2.0
"""What every search has, of whatever family: what was asked, a ledger, a history, and a checkpoint that resumes exactly."""
from __future__ import annotations

import hashlib
import io
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

import torch

from mcunas.atomic import write_file
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.errors import InputError
from mcunas.search.events import FOLDER, Events
from mcunas.space import Genotype
from mcunas.tasks import Schedule, Task, ddp

Progress = Callable[[str, int, int, dict[str, Any]], None]      # phase, epochs done, epochs in all, figures to show
CHECKPOINT = "checkpoint.pt"
MOST_SEED = 2**32 - 1       # that all sources of random numbers take


@dataclass
class Ledger:
    """What a run has spent: training samples seen, option blocks run on a sample (searches in a space), and CPU seconds per
    phase, of all its processes."""

    samples: int = 0
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    option_forwards: int = 0

    def charge(self, phase: str, cpu_seconds: float, samples: int = 0, option_forwards: int = 0) -> None:
        self.samples += samples
        self.option_forwards += int(ddp.total(option_forwards))
        self.cpu_seconds[phase] = self.cpu_seconds.get(phase, 0.0) + ddp.total(cpu_seconds)


def _named(value: Any) -> list[Any]:
    """An object as JSON: its class, and its fields where it says them."""
    is_told = is_dataclass(value) and not isinstance(value, type)
    fields = {name: of for name, of in asdict(value).items() if name != "path"} if is_told else {}
    return [type(value).__qualname__, fields]


class State(ABC):
    """One search in progress. `epoch` counts finished float epochs; `notes` is the method's own resumable state.

    settings: the method's own. facts: what the method wants to be in metrics.json. net: what is trained.
    """

    net: Any
    teacher: dict[str, Any]
    start: Any

    def __init__(self, task: Task, board: Board, budget: Budget, method: str, schedule: Schedule, seed: int, out: Path,
                 progress: Progress | None, settings: dict[str, Any]) -> None:
        if not 0 <= seed <= MOST_SEED:
            raise InputError(f"a seed of {seed}", where="seed", fix=f"give a whole number from 0 to {MOST_SEED}")
        self.task, self.board, self.budget, self.method = task, board, budget, method
        self.schedule, self.seed, self.out, self.settings = schedule, seed, out, settings
        self.progress = progress or (lambda *unused: None)
        self.epoch, self.history, self.ledger = 0, [], Ledger()
        self.notes: dict[str, Any] = {}
        self.facts: dict[str, Any] = {}
        self._events: Events | None = None

    @abstractmethod
    def origin(self) -> tuple[Genotype, list[str]]:
        """What the search began from: a genotype, and digests of data and weights."""

    @property
    @abstractmethod
    def samples_per_epoch(self) -> int: ...

    @abstractmethod
    def genotype(self) -> Genotype:
        """What has been found."""

    @abstractmethod
    def held(self) -> dict[str, Any]:
        """What a checkpoint holds besides the common part."""

    @abstractmethod
    def take(self, state: dict[str, Any]) -> None:
        """Go on from what `held` gave."""

    def curves(self, entry: dict[str, Any]) -> dict[str, float]:
        """What TensorBoard draws of an entry of the history."""
        return {k: float(v) for k, v in entry.items() if k != "epoch" and isinstance(v, (int, float))}

    def book(self, phase: str, started: float, samples: int, figures: dict[str, Any], option_forwards: int = 0) -> None:
        """An epoch is over: into ledger, history and curves. started: time.process_time() at its beginning.

        Curves come before the checkpoint: an epoch that is lost and done again stands in a later file, which TensorBoard
        prefers.
        """
        self.epoch += 1
        self.ledger.charge(phase, time.process_time() - started, samples, option_forwards)
        self.history.append({"epoch": self.epoch, "phase": phase, **figures})
        if self._events is None:
            self._events = Events(self.out / FOLDER, self.epoch)
        self._events.add(self.epoch, self.curves(self.history[-1]))

    def fingerprint(self) -> str:
        """What must be equal for a checkpoint to be this run's."""
        start, digests = self.origin()
        said = [self.task.name, self.board.key, asdict(self.budget), self.method, start.fields(), asdict(self.schedule),
                self.seed, torch.__version__, self.settings, *digests, *self._own()]
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=_named).encode()).hexdigest()

    def _own(self) -> list[Any]:
        """Of a board and a task of the user's own, what their names and digests leave out."""
        found: list[Any] = []
        if self.board.is_own:
            found += [self.board, self.board.cycle_model]
        if ":" in self.task.name or "@" in self.task.name:
            found += [self.task.augment, self.task.objective]
        return found

    def save(self) -> None:
        """Write the checkpoint whole or not at all."""
        state = {"fingerprint": self.fingerprint(), "epoch": self.epoch, "notes": self.notes,
                 "history": json.dumps(self.history), "ledger": asdict(self.ledger), "facts": json.dumps(self.facts),
                 "random": torch.get_rng_state(),       # what dropout draws from
                 **self.held()}
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_file(self.out / CHECKPOINT, buffer.getvalue())

    def load(self) -> bool:
        """Continue from the checkpoint in `out`; False when there is none. Raises InputError for another run's."""
        path = self.out / CHECKPOINT
        if not path.exists():
            return False
        fix = "choose another out folder, or do not resume"
        try:
            state = torch.load(path, weights_only=True)
        except Exception as error:
            raise InputError(f"cannot read the checkpoint ({type(error).__name__})", where=str(path), fix=fix) from None
        if not isinstance(state, dict) or state.get("fingerprint") != self.fingerprint():
            raise InputError("the checkpoint belongs to a search with other settings", where=str(path), fix=fix)
        self.epoch, self.notes = state["epoch"], state["notes"]
        self.facts, self.history = json.loads(state["facts"]), json.loads(state["history"])
        self.ledger = Ledger(**state["ledger"])
        self.take(state)
        if "random" in state:
            torch.set_rng_state(state["random"])
        return True
