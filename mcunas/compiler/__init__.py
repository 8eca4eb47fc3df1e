# SPDX-License-Identifier: Apache-2.0
"""Compiler: Graph -> C. Passes, operator order, memory plan, emission."""
