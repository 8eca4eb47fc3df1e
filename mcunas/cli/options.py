# SPDX-License-Identifier: Apache-2.0
"""Arguments and options that several verbs share: one spelling, one help text."""
from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Optimize(StrEnum):
    """What the compiler prefers where it has a choice."""

    RAM = "ram"
    CYCLES = "cycles"
    FLASH = "flash"
    BALANCED = "balanced"


class Engine(StrEnum):
    """What computes the model: mcunas' ahead-of-time C, or the user's TensorFlow Lite Micro (TFLM_ROOT)."""

    AOT = "aot"
    TFLM = "tflm"


Model = Annotated[Path, typer.Argument(metavar="MODEL.tflite", help="An int8 .tflite file.", show_default=False)]
Board = Annotated[str, typer.Option("--board", "-b", metavar="BOARD", help="A key of `mcunas boards`, or a file.")]
Task = Annotated[str, typer.Option("--task", "-t", metavar="TASK", help="What to learn.")]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where to write; made if it is missing.")]
Kept = Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Keep the firmware and a report there.")]
Optimized = Annotated[Optimize, typer.Option("--optimize", help="What to prefer where there is a choice.")]
Engines = Annotated[Engine, typer.Option("--engine", help="mcunas' own C, or your TFLM under TFLM_ROOT.")]
Tuned = Annotated[Path | None, typer.Option(
    "--tuned", metavar="FILE", help="Take the kernels that `mcunas tune` found.", show_default=False)]
Data = Annotated[str | None, typer.Option("--data", metavar="MODULE:FUNCTION", show_default=False, help=(
    "Your own task: a function that returns (train, validation, test) loaders."))]
Start = Annotated[str | None, typer.Option("--model", metavar="NAME", show_default=False, help=(
    "The network to start from: module:function that returns yours, a genotype.json, or a known one."))]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", show_default=False, help=(
    "A setting of the method; may be repeated."))]
BlocksFrom = Annotated[Path | None, typer.Option("--blocks-from", metavar="FILE", show_default=False, help=(
    "Only blocks that a comparison (`mcunas blocks`, verdict.json) found worthwhile on the board."))]
Port = Annotated[str | None, typer.Option("--port", metavar="PORT", show_default=False, help=(
    "The serial port of a board that runs this firmware, or `usb` to find it; else the board's core in QEMU."))]
Probe = Annotated[str | None, typer.Option("--probe", metavar="SERIAL", show_default=False, help=(
    "The probe's serial number or its beginning; a volume's folder."))]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Same inputs, seed and versions give the same result.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes that train candidates.")]
Cluster = Annotated[str | None, typer.Option("--cluster", metavar="URL", show_default=False, help=(
    "A dask scheduler whose workers train candidates, like tcp://host:8786."))]
Storage = Annotated[str | None, typer.Option("--storage", metavar="URL", show_default=False, help=(
    "An Optuna storage for the study, instead of a file in DIR."))]
Ram = Annotated[str | None, typer.Option("--ram", metavar="SIZE", help="Limit of the arena, like '64 KiB'.")]
Flash = Annotated[str | None, typer.Option("--flash", metavar="SIZE", help="Limit of its flash, like '256 KiB'.")]
Latency = Annotated[str | None, typer.Option("--latency", metavar="TIME", help="Limit of one inference, like '50 ms'.")]
