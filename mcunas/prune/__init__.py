# SPDX-License-Identifier: Apache-2.0
"""Channel pruning: coupled groups, differentiable widths, slicing, constraints and the exact integer projection."""
