# SPDX-License-Identifier: Apache-2.0
"""PLiNIO's PIT (Risso et al.; Jahier Pagliari et al., arXiv 2307.09488) as an arm, with its regularizer for several
constraints, DUCCIO, which knows parameters and operations. Then the same fine-tuning as ours.

Our exact budgets are held by its own binarization: the least threshold on its masks at which the deployed network fits.
Not on a package index: put a checkout of github.com/eml-eda/plinio on PYTHONPATH (and its `tdigest`). Its checkpoint is
the run's start: the search phase is not resumable.
"""
from __future__ import annotations

import time

import torch
import torch.nn.functional as F
from torch import nn

from mcunas.errors import DoesNotFit, InputError
from mcunas.prune.masks import LEAST_WIDTH
from mcunas.prune.slicing import slice_channels, slice_to
from mcunas.search.run import Run
from mcunas.search.uniform import uniform_widths
from mcunas.tasks.objective import LABEL_SMOOTHING
from mcunas.tasks.training import recalibrate, score

MASK_RATE = 0.01            # of the masks' own Adam, as in the package's examples
WARMUP_EPOCHS = 2


def shape(run: Run) -> None:
    """Train weights and masks for the pruning epochs, then cut at the least threshold that fits."""
    if run.is_projected:
        return
    if run.epoch:
        raise InputError("PLiNIO's masks are not in the checkpoint", where=str(run.out), fix="remove the folder")
    from plinio.cost import ops, params
    from plinio.methods import PIT
    from plinio.regularizers import DUCCIO

    height, width, depth = run.task.input_shape
    try:
        pit = PIT(run.net.train(), cost={"params": params, "ops": ops}, input_shape=(depth, height, width))
    except ValueError as error:
        raise InputError(f"PLiNIO cannot convert this network ({error})", fix="leave this arm out") from None
    run.net, search_epochs = pit, run.schedule.prune_epochs - WARMUP_EPOCHS
    run.optimizer = torch.optim.SGD(pit.net_parameters(), lr=run.schedule.rate, momentum=0.9, nesterov=True,
                                    weight_decay=run.schedule.weight_decay)
    masks = torch.optim.Adam(pit.nas_parameters(), lr=MASK_RATE)
    limits, regularizer, loss_before = {}, None, 0.0
    for epoch in range(run.schedule.prune_epochs):
        started, total, steps = time.process_time(), 0.0, 0
        if epoch == WARMUP_EPOCHS:
            limits = _limits(run)
            regularizer = DUCCIO(limits, task_loss=loss_before)
        for _, images, labels in run.batches():
            loss = F.cross_entropy(run.net(images), labels, label_smoothing=LABEL_SMOOTHING)
            total, steps = total + float(loss.detach()), steps + 1
            if regularizer:
                loss = loss + regularizer(pit, epoch - WARMUP_EPOCHS, search_epochs)
            run.optimizer.zero_grad(set_to_none=True)
            masks.zero_grad(set_to_none=True)
            loss.backward()
            run.optimizer.step()
            if regularizer:
                masks.step()
        loss_before = total / steps
        figures = {"loss": loss_before, "validation": score(pit, run.task, run.task.validation),
                   "parameters": pit.get_cost("params").item(), "operations": pit.get_cost("ops").item()}
        if epoch + 1 == run.schedule.prune_epochs:
            run.facts["plinio_targets"] = limits
            _cut(run, pit)
        run.epoch = epoch
        run.end_epoch("prune", started, figures)


def _limits(run: Run) -> dict[str, float]:
    """Parameters and operations of the uniform network that fits: what someone without our cost tables would ask for."""
    from plinio.cost import ops, params
    from plinio.methods import PIT

    net = run.start.build_dense()
    height, width, depth = run.task.input_shape
    slice_to(net, run.dense_channels, list(uniform_widths(run, run.dense_widths)))
    pit = PIT(net, cost={"params": params, "ops": ops}, input_shape=(depth, height, width))
    return {name: pit.get_cost(name).item() for name in ("params", "ops")}


def _cut(run: Run, pit: nn.Module) -> None:
    """Our own network with PIT's weights, cut to the channels above the least threshold that fits."""
    net = run.start.build_dense()
    norm_of, last = {}, ""
    for path, module in net.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            last = path
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            norm_of[last] = path
    with torch.no_grad():
        for path, module in net.named_modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                trained = pit.seed.get_submodule(path)
                module.weight.copy_(trained.weight)
                if module.bias is not None:
                    module.bias.copy_(trained.bias)
                if path in norm_of:
                    net.get_submodule(norm_of[path]).load_state_dict(trained.bn.state_dict(), strict=False)
    groups = run.dense_channels.groups
    kept = [pit.seed.get_submodule(g.modules[0]).out_features_masker.theta.detach() for g in groups]
    run.facts["plinio_widths"] = [int((mask > 0.5).sum()) for mask in kept]
    for threshold in [0.5, *sorted(t for t in torch.cat(kept).tolist() if t > 0.5)]:
        counts = [max(int((mask > threshold).sum()), min(LEAST_WIDTH, len(mask))) for mask in kept]
        if all(price(counts).fits(run.budget) for price in (run.resources.bound, run.resources.exact)):
            break
    else:
        raise DoesNotFit("no threshold on PLiNIO's masks fits the budget")
    keep = [torch.argsort(mask, descending=True, stable=True)[:n].sort().values for mask, n in zip(kept, counts)]
    run.net = net
    run.channels = slice_channels(net, run.dense_channels, keep)
    run.optimizer = run.new_optimizer()
    recalibrate(run.net, run.task)
    run.facts["plinio_threshold"], run.is_projected = threshold, True
