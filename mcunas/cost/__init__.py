# SPDX-License-Identifier: Apache-2.0
"""Cost of a Graph on a Board: RAM exact, flash from measured code sizes, cycles from a fitted model."""
from mcunas.cost.estimate import Cost, estimate

__all__ = ["Cost", "estimate"]
