# SPDX-License-Identifier: Apache-2.0
"""A run with every section, for tests of its page."""
from __future__ import annotations

SHARE = {"macs": 1000, "instructions": 1500, "cycles": 2000, "low": 1900, "high": 2100, "mix": {"load": 500, "mac": 1000}}
RUN = {
    "title": "digits <b> on mps2-an386",
    "board": {"key": "mps2-an386", "name": "AN386", "cpu": "cortex-m4", "clock_hz": 25_000_000},
    "verdict": {"ok": True, "text": "it fits"},
    "quantities": [{"name": "RAM", "unit": "bytes", "start": 90_000, "budget": 10_240, "predicted": 9_216,
                    "measured": 9_216, "source": "painted arena"},
                   {"name": "latency", "unit": "us", "start": None, "budget": 1_000, "predicted": 1_500.0,
                    "measured": 1_500.0, "source": "model"}],
    "accuracy": {"metric": "accuracy", "float": 0.98, "int8_host": 0.975, "int8_board": None, "images": 300},
    "match": {"inputs": 300, "bytes": 3000, "mismatches": 0},
    "budget": {"ram_bytes": 10_240, "flash_bytes": None, "latency_us": 1_000},
    "history": [{"phase": "prune", "validation": 0.5, "ram_bytes": 90_000, "latency_us": 9_000.0},
                {"phase": "prune", "validation": 0.9, "ram_bytes": 9_216, "latency_us": 1_500.0}],
    "widths": [{"name": "stem", "before": 64, "after": 12}],
    "choices": [{"slot": "s0_0", "option": "ds3<", "feasible": ["ds3<", "skip"]}],
    "plan": {"arena_bytes": 100, "steps": ["CONV_2D"], "tensors": [{"name": "x", "offset": 0, "bytes": 100, "first": 0,
                                                                   "last": 0}]},
    "layers": [{"name": "stem", "kind": "CONV_2D", "macs": 1000, "weight_bytes": 90}],
    "profile": {"layers": [{"index": 0, "kind": "CONV_2D", "name": "stem", "step": 0, "ram_bytes": 100,
                            "kernels": ["k"], **SHARE}],
                "kernels": {"k": SHARE}, "overhead": {**SHARE, "macs": 0}, "total": SHARE, "cycles_source": "modelled"},
    "candidates": [{"accuracy": 0.8, "ram_bytes": 8_000, "latency_us": 900.0, "cycles": 22_500.0},
                   {"accuracy": 0.7, "ram_bytes": 9_000, "latency_us": 800.0, "cycles": 20_000.0}],
    "network": [{"name": "stem<", "before": [14, 14, 64], "after": [14, 14, 12]},
                {"name": "head", "before": [1, 1, 10], "after": None}],
    "metrics": [{"group": "lightness", "name": "parameters", "value": 900, "unit": "", "basis": "exact",
                 "definition": "numbers <all>"}],
    "boards": [{"board": "pico", "ram_bytes": 9_216, "ram_limit_bytes": 262_144, "flash_bytes": 9_000,
                "flash_limit_bytes": 8_000, "cycles": None, "latency_us": None, "fits": False}],
    "environment": {"python": "3.11"}, "commands": ["make quickstart"],
}
