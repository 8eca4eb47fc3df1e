# SPDX-License-Identifier: Apache-2.0
"""mn_scale, the step from accumulator to output, against the numpy arithmetic on many (value, mantissa, shift)."""
from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

from mcunas.graph.arithmetic import scale_int32
from mcunas.paths import firmware_dir

_COUNT = 200_000
_PROGRAM = """
#include <stdio.h>
#include "mn_math.h"
int main(void) {
  int32_t v[3];
  while (fread(v, sizeof v, 1, stdin) == 1) {
    const int32_t scaled = mn_scale(v[0], v[1], v[2]);
    fwrite(&scaled, sizeof scaled, 1, stdout);
  }
  return 0;
}
"""


def test_scaling_rounds_twice_as_tflite_micro_does(tmp_path):
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no host C compiler")
    (tmp_path / "scale.c").write_text(_PROGRAM)
    program = tmp_path / "scale"
    subprocess.run([compiler, "-std=c11", "-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all",
                    f"-I{firmware_dir() / 'kernels'}", str(tmp_path / "scale.c"), "-o", str(program)], check=True)
    rng = np.random.default_rng(0)
    # Magnitudes of every length, so that ties and small results are common, and the ends of the range.
    value = rng.integers(-(1 << 31), 1 << 31, _COUNT) >> rng.integers(0, 32, _COUNT)
    value[:4] = -(1 << 31), (1 << 31) - 1, 0, -1
    mantissa = rng.integers(1 << 30, 1 << 31, _COUNT)
    mantissa[::3] = 1 << 30
    shift = rng.integers(-31, 31, _COUNT)
    data = np.stack([value, mantissa, shift], axis=1).astype(np.int32)
    done = subprocess.run([str(program)], input=data.tobytes(), capture_output=True, check=True)
    assert np.array_equal(np.frombuffer(done.stdout, np.int32), scale_int32(value, mantissa, shift))
