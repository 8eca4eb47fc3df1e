# SPDX-License-Identifier: Apache-2.0
"""Adapting a pre-trained classification backbone to detection (Jung et al., arXiv 2206.08509).

From the paper: operation, number of layers and output channels of each block are searched for the new task while the
pre-trained parameters go on to be used, by mapping. Ours (nas-methods.md, paper 3): the search asks and tells (Optuna's TPE)
where the authors' code has gradients; what is found takes no more cycles and RAM than the original; mapping as in space/
mapping.py, with channels kept by how much they are read. The backbone is trained here, on the task's items one by one; then
the original is a detector for a while, so that candidates inherit a head that has learned something, as the weights of the
authors' supernet learn the new task before its architecture is asked.
"""
from __future__ import annotations

from dataclasses import replace

from mcunas import tasks
from mcunas.errors import InputError
from mcunas.search.evolved import SETTINGS as SHARED
from mcunas.search.evolved import Wanted, best, candidates, demand_known, in_every_stage, parent, prices_of, scaled
from mcunas.search.nas.run import NasRun
from mcunas.space import Genotype
from mcunas.space import space as spaces
from mcunas.space.factored import Factored
from mcunas.tasks import Task

# sampler: "tpe", "random", "nsga2"; "original" for the pre-trained backbone as it is, or with all its widths scaled alike to
# a budget that it does not keep.
FACTORS = {"op": ("ds", "mb2", "mb3", "mb4"), "kernel": (3, 5), "width": (0.5, 0.75, 1.0, 1.25, 1.5)}
SETTINGS = {**SHARED, "parent_share": 0.25, "warmed_share": 0.25, "sampler": "tpe", "finalists": 5,
            "factors": {k: list(v) for k, v in FACTORS.items()}}
NARROWS = PARALLEL = True
ORIGINAL = {"op": "mb3", "kernel": 3, "layers": 2, "width": 1.0}


def choose(run: NasRun) -> Genotype:
    """Where no candidate fits, the original, scaled to the budget. Raises InputError for unknown settings or a task without
    items to train on."""
    demand_known(run, "original")
    items = items_of(run.task)
    factored = Factored(run.space, run.settings["factors"])
    original = factored.genotype(in_every_stage(factored, ORIGINAL))
    pretrained = parent(run, as_classifier(original, items), items)
    warmed = parent(run, original, run.task, "warmed", replace(pretrained, is_shuffled=False)(original))
    limit = prices_of(run, original)
    run.facts["original"] = limit
    found = None
    if run.settings["sampler"] != "original":
        wanted = Wanted(("maximize",), lambda f: (f["accuracy"],),
                        lambda f: max(f["use"], f["cycles"] / limit["cycles"], f["ram_bytes"] / limit["ram_bytes"]) - 1)
        found = best(run, candidates(run, factored, warmed, run.settings["sampler"], wanted), warmed)
    if not found:
        found = original if limit["use"] <= 1 else scaled(run, factored, ORIGINAL)
    if run.settings["mapping"] != "scratch":
        run.begun = warmed(found)
    return found


def items_of(task: Task) -> Task:
    """The classification task that a detection task's items come from, without its test split. Raises InputError."""
    name = getattr(task.objective, "items", "")
    if not name:
        raise InputError("adapt needs a task that shows the items of another one", where=task.name,
                         fix="use detection-64, detection-96, or one of their kind")
    return tasks.load(name).sealed()


def as_classifier(genotype: Genotype, items: Task) -> Genotype:
    """The same backbone on single items, with a head of one logit per class."""
    return spaces.load(genotype.start, {**genotype.options, "head": items.objective.head}, items.input_shape,
                       items.classes).genotype(genotype.choices, genotype.widths)
