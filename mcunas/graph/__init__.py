# SPDX-License-Identifier: Apache-2.0
"""The intermediate representation, its legality, its .tflite reader and writer, and its integer reference."""
from mcunas.graph.ir import Graph, Op, Quant, Tensor
from mcunas.graph.spec import KINDS
from mcunas.graph.tflite_reader import read_tflite
from mcunas.graph.tflite_writer import write_tflite
from mcunas.graph.verify import verify

__all__ = ["KINDS", "Graph", "Op", "Quant", "Tensor", "read_tflite", "verify", "write_tflite"]
