# SPDX-License-Identifier: Apache-2.0
"""The one error of these programs: what, where, and what to do, handed to mcunas as it is."""
from __future__ import annotations


class Complaint(Exception):
    """where: of the model's file, for example a node; empty for the whole of it."""

    def __init__(self, what: str, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.fix = what, where, fix


def first_line(error: BaseException) -> str:
    """An exception in one line; those of TensorFlow and ONNX carry pages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
