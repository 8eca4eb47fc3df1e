# SPDX-License-Identifier: Apache-2.0
"""Searches that ask and tell: ``python -m tests.bench.asktell --paper trade``. One file each: asktell_*.py; papers.py runs
them."""
from __future__ import annotations

from tests.bench.papers import main

if __name__ == "__main__":
    main("asktell", ("mnas", "trade", "cluster", "nsga2", "adapt"), __doc__)
