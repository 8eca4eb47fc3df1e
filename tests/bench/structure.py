# SPDX-License-Identifier: Apache-2.0
"""What to build with: ``python -m tests.bench.structure --paper repnas``. One file each: structure_*.py; papers.py runs
them."""
from __future__ import annotations

from tests.bench.papers import main

if __name__ == "__main__":
    main("structure", ("repnas", "ran", "ran_implicit", "lana", "ghost", "blockbench"), __doc__)
