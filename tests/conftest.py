# SPDX-License-Identifier: Apache-2.0
"""Fixtures that many tests share, and the hypothesis profile."""
from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No deadline: these tests share two cores with each other and start compilers.
settings.register_profile("mcunas", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("mcunas")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real models and data sets that MCUNAS_DATA names."""
    folder = os.environ.get("MCUNAS_DATA")
    if not folder:
        pytest.skip("MCUNAS_DATA is not set")
    return Path(folder)
