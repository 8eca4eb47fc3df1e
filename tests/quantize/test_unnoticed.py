# SPDX-License-Identifier: Apache-2.0
"""NNCF's telemetry, its compiled extension and its start-up time are things that a user never meets."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
heard = []
sys.addaudithook(lambda event, arguments: heard.append(f"{event} {arguments}") if event in (
    "socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.posix_spawn") else None)
import mcunas, mcunas.quantize
assert not {"torch", "nncf", "openvino_telemetry"} & set(sys.modules), "heavy before it is needed"
import torch
from torch import nn
from mcunas.quantize.qat import FakeQuantized
net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3)).eval()
quantized = FakeQuantized(net, torch.rand(8, 1, 8, 8), (1 / 255, -128))
quantized.module(torch.rand(8, 1, 8, 8)).sum().backward()
quantized.export()
print("\\n".join(heard))
"""


def test_quantization_starts_no_program_and_opens_no_connection(tmp_path: Path) -> None:
    """In a home without any leftovers of an earlier run, the first training step included."""
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"),
                   "TORCH_EXTENSIONS_DIR": str(tmp_path / "extensions")}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
    assert not (tmp_path / "extensions").exists() and not (tmp_path / "intel").exists()
    assert "nncf" not in done.stderr.lower()
