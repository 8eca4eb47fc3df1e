# SPDX-License-Identifier: Apache-2.0
"""Quantization-aware training of a searched network: calibrate, train, checkpoint each epoch, export, measure once."""
from __future__ import annotations

import io
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch

from mcunas import tasks
from mcunas.atomic import own_folder, write_file
from mcunas.errors import DoesNotFit, InputError
from mcunas.graph import read_tflite
from mcunas.quantize.choose import CHECKPOINT, REPORT, Precision, bits_of, wide_of
from mcunas.quantize.model import QuantizedModel, measures
from mcunas.quantize.precision import flash_bytes_of
from mcunas.quantize.qat import FakeQuantized
from mcunas.tasks import Task
from mcunas.tasks.test_reads import open_test

CALIBRATION_IMAGES = 512
FIRST_EPOCH = 100_000       # of the random streams: far from the float epochs'
THREADS = 1


def run_quantize(result: Any, progress: Any, resume: bool, precision: Precision) -> QuantizedModel:
    """See `mcunas.quantize`."""
    out, report = result.out, result.out / REPORT
    fingerprint = result.metrics["asked"]["fingerprint"] + precision.words()
    finished = _finished(report, out / "model.tflite", fingerprint) if resume else None
    if finished:
        return finished
    with own_folder(out):
        return _trained(result, progress, resume, precision, fingerprint)


def _trained(result: Any, progress: Any, resume: bool, precision: Precision, fingerprint: str) -> QuantizedModel:
    from mcunas.tasks.training import batches, cosine, number, steps_per_epoch

    schedule, checkpoint = result.schedule, result.out / CHECKPOINT
    torch.set_num_threads(THREADS)
    torch.manual_seed(result.seed)
    started, task = time.process_time(), tasks.load(result.task)
    images = torch.from_numpy(task.real(task.train.images[:CALIBRATION_IMAGES]))
    quantized = FakeQuantized(result.model, images, task.input_quant, task.name)
    bits, facts = bits_of(precision, quantized, result, task)
    if not precision.is_plain:
        fresh = partial(FakeQuantized, result.model, images, task.input_quant, task.name, bits)
        wide, more = wide_of(precision, fresh, bits, result, task)
        quantized, facts = fresh(wide), facts | more
    weights, ranges = quantized.parameters()
    optimizer = torch.optim.Adam([{"params": weights, "share": 1.0}, {"params": ranges, "share": 1.0}], lr=schedule.qat_rate)
    epoch, samples, spent = 0, 0, 0.0
    if resume and checkpoint.exists():
        state = _load(checkpoint, fingerprint)
        quantized.load(state["parameters"])
        optimizer.load_state_dict(state["optimizer"])
        epoch, samples, spent = state["epoch"], state["samples"], state["cpu_seconds"]
        if "random" in state:
            torch.set_rng_state(state["random"])
    steps = steps_per_epoch(task, schedule)
    quantized.train()
    while epoch < schedule.qat_epochs:
        total = 0.0
        for step, (x, labels) in enumerate(batches(task, schedule, result.seed, FIRST_EPOCH + epoch)):
            rate = cosine((epoch + step / steps) / schedule.qat_epochs, schedule.qat_rate)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["share"]
            loss = task.objective.loss(quantized.module(x), labels, plain=True)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += number(loss)
            samples += len(labels)
        epoch += 1
        _save(checkpoint, {"fingerprint": fingerprint, "parameters": quantized.state(), "optimizer": optimizer.state_dict(),
                           "random": torch.get_rng_state(), "epoch": epoch, "samples": samples,
                           "cpu_seconds": spent + time.process_time() - started})
        if progress:
            progress("quantize", epoch, schedule.qat_epochs, {"loss": total / steps})
    return _finish(result, task, quantized, {"fingerprint": fingerprint, "precision": facts}, samples,
                   spent + time.process_time() - started)


def _finished(report: Path, model: Path, fingerprint: str) -> QuantizedModel | None:
    """What is there already; None where it is of another search or damaged, and is made again."""
    try:
        metrics = json.loads(report.read_text())
        return QuantizedModel(read_tflite(model), metrics) if metrics["fingerprint"] == fingerprint else None
    except (OSError, ValueError, KeyError, TypeError, IndexError, InputError):
        return None


def _finish(result: Any, task: Task, quantized: FakeQuantized, facts: dict[str, Any], samples: int,
            cpu_seconds: float) -> QuantizedModel:
    graph, count = quantized.export(), result.schedule.measured_images
    metric, validation = task.objective.metric, measures(graph, task, task.validation[:count])
    limit = facts["precision"].get("limit_bytes")
    if limit and (taken := flash_bytes_of(graph, result.board)) > limit:
        raise DoesNotFit(f"the trained model takes {taken:,} bytes of flash, {limit:,} are allowed", result.board.key,
                         "allow a little less, so that other layers get int4 weights")
    test = open_test(task, result.out, "int8", count)
    tested = measures(graph, task, test)
    metrics = {**facts, "seed": result.seed, "float_accuracy": result.metrics["float_accuracy"],
               "metric": metric, "int8_validation_accuracy": validation[metric], "int8_accuracy": tested[metric],
               "int8_measures": tested, "test_images": len(test),
               "ranges_from_nncf": quantized.from_nncf, "ledger": {"samples": samples, "cpu_seconds": cpu_seconds}}
    model, report = QuantizedModel(graph, metrics), result.out / REPORT
    report.unlink(missing_ok=True)          # it stands for the model beside it
    model.save(result.out / "model.tflite")
    write_file(report, json.dumps(metrics, indent=1) + "\n")
    return model


def _load(path: Path, fingerprint: str) -> dict[str, Any]:
    fix = "delete it, or do not resume"
    try:
        state = torch.load(path, weights_only=True)
    except Exception as error:
        raise InputError(f"cannot read the checkpoint ({type(error).__name__})", where=str(path), fix=fix) from None
    if not isinstance(state, dict) or state.get("fingerprint") != fingerprint:
        raise InputError("the checkpoint belongs to another search", where=str(path), fix=fix)
    return state


def _save(path: Path, state: dict[str, Any]) -> None:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_file(path, buffer.getvalue())
