# SPDX-License-Identifier: Apache-2.0
"""How many bits: ``python -m tests.bench.quant --paper mixed``. One file each: quant_*.py; papers.py runs them."""
from __future__ import annotations

from tests.bench.papers import main

if __name__ == "__main__":
    main("quant", ("main", "mixed", "quantnas", "study"), __doc__)
