# SPDX-License-Identifier: Apache-2.0
"""An arm for tables: given widths, trained from scratch for all epochs. Shows what inherited weights are worth."""
from __future__ import annotations

from mcunas.errors import DoesNotFit, InputError
from mcunas.search.run import Run

SETTINGS = {"widths": {}}       # group name -> channels, as in genotype.json; groups left out stay dense


def shape(run: Run) -> None:
    """Give `run.net` the asked widths; no training is spent. Raises InputError, DoesNotFit."""
    if run.is_projected:
        return
    asked = run.settings["widths"]
    names = {g.name: g.channels for g in run.channels.groups}
    wrong = [name for name, width in asked.items() if type(width) is not int or not 0 < width <= names.get(name, 0)]
    if wrong:
        raise InputError(f"no such widths: {', '.join(wrong)}", fix=f"groups and their most channels: {names}")
    run.reshape([asked.get(g.name, g.channels) for g in run.channels.groups])
    if not run.resources.exact(run.widths).fits(run.budget):
        raise DoesNotFit("the asked widths exceed the budget", where=run.board.key, fix="raise it, or ask for less")
    run.is_projected = True
