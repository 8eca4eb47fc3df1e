# SPDX-License-Identifier: Apache-2.0
"""Searches in a space: what all methods share. A method is a file in mcunas/search with `choose(run) -> Genotype`.

    run.py       NasRun: space, prices, feasible options, splits, ledger, checkpoint, batches by epoch
    splits.py    train_w, train_alpha: two parts of the training split by hash; the test split is sealed
    shared.py    Shared: a supernet with its two optimizers, steps for weights and for alpha, and its resumable state
    figures.py   first alpha, progress, and what an epoch shows
    hinge.py     the budget in the loss; derive.py: the most probable networks that fit exactly
    finals.py    the last stage: a few of those are trained for a short time, the best is chosen
    driver.py    the road: delete what cannot fit, choose, train from scratch by one recipe, measure once
"""
