# SPDX-License-Identifier: Apache-2.0
"""A search method: shape(run) brings run.net to widths that fit the budget exactly. Here: the dearest group gives first."""
from mcunas.errors import DoesNotFit

SETTINGS = {"step": 0.9}        # what is left of a group's channels each time; `--set step=0.8` changes it


def shape(run):
    if run.is_projected:        # resumed after it was done
        return
    widths, price = list(run.widths), run.resources.exact
    while not price(widths).fits(run.budget):
        narrower = [[max(round(w * run.settings["step"]) - 1, 1) if k == group else w for k, w in enumerate(widths)]
                    for group in range(len(widths))]
        narrower = [found for found in narrower if found != widths]
        if not narrower:
            raise DoesNotFit("even one channel in every layer is too much", where=run.board.key, fix="raise the budget")
        widths = min(narrower, key=lambda found: max(price(found).ratios(run.budget)))
    run.reshape(widths)
    run.is_projected = True     # the rest is trained, measured and reported as for any method
