# SPDX-License-Identifier: Apache-2.0
"""Which versions produced a result: without them no number can be reproduced."""
from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version

import mcunas

PACKAGES = ("torch", "nncf", "tflite-micro", "numpy", "flatbuffers", "scikit-learn")
PROGRAMS = ("arm-none-eabi-gcc", "qemu-system-arm")


def environment() -> dict[str, str]:
    """Name -> version of Python, the packages and the programs that take part; 'absent' for what is not there."""
    found = {"mcunas": mcunas.__version__, "python": platform.python_version(),
             "system": f"{platform.system()} {platform.machine()}", "cores": str(os.cpu_count())}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    for program in PROGRAMS:
        try:
            said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20).stdout
            found[program] = said.splitlines()[0] if said else "silent"
        except (OSError, subprocess.TimeoutExpired):
            found[program] = "absent"
    return found
