# SPDX-License-Identifier: Apache-2.0
"""The Python interface: names resolve lazily, and packages named like a function can be called."""
from __future__ import annotations

from pathlib import Path

import pytest

import mcunas
from tests.small_models import dense


def test_every_public_name_resolves() -> None:
    for name in mcunas.__all__:
        assert getattr(mcunas, name) is not None


def test_a_verb_can_be_called_after_its_package_was_imported() -> None:
    import mcunas.quantize
    import mcunas.search

    assert callable(mcunas.search) and callable(mcunas.quantize)


def test_a_graph_becomes_firmware_that_is_proven(tmp_path: Path) -> None:
    image = mcunas.build(dense(8, 4), "mps2-an386", tmp_path, budget=mcunas.Budget(ram="1 KiB"))
    report = mcunas.validate(image, n_random=2)
    assert report.passed and report.measured.ram_bytes == image.manifest["arena_bytes"]


@pytest.mark.parametrize("model", [b"text", 3, "absent.tflite"])
def test_what_is_no_model_is_refused(model: object, tmp_path: Path) -> None:
    with pytest.raises(mcunas.McunasError):
        mcunas.build(model, "mps2-an386", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="frobnicate"):
        mcunas.frobnicate  # noqa: B018
