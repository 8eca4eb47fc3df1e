# SPDX-License-Identifier: Apache-2.0
"""Compiler: Graph -> C. Lowering to kernel calls, operator order, memory plan, emission."""
from mcunas.compiler.choice import Choice
from mcunas.compiler.compile import Compiled, compile_graph, weight_bytes
from mcunas.compiler.goals import OPTIMIZE
from mcunas.compiler.plan import Plan, plan

__all__ = ["OPTIMIZE", "Choice", "Compiled", "Plan", "compile_graph", "plan", "weight_bytes"]
