# SPDX-License-Identifier: Apache-2.0
"""The Python interface: names resolve lazily, and packages named like a function can be called."""
from __future__ import annotations

import pytest

import mcunas


def test_every_public_name_resolves() -> None:
    for name in mcunas.__all__:
        assert getattr(mcunas, name) is not None


def test_a_verb_can_be_called_after_its_package_was_imported() -> None:
    import mcunas.quantize
    import mcunas.search

    assert callable(mcunas.search) and callable(mcunas.quantize)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="frobnicate"):
        mcunas.frobnicate  # noqa: B018
