# SPDX-License-Identifier: Apache-2.0
"""Fit the prices of TFLite Micro and of vendors' engines to published measurements: ``python -m mcunas.cost.fit_silicon``.

Reads $MCUNAS_DATA/measurements (single layers measured with the core's cycle counter; MLPerf Tiny results) and
$MCUNAS_DATA/mlperf_tiny, writes boards/cost/silicon-<board>.toml. Layers give a core's proportions between convolution
terms, cross-validated with whole shapes held out. Network results then give a board and engine three prices: a factor
on those, one for depthwise and one for fully connected layers; each network is predicted from the others as well.
"""
from __future__ import annotations

import csv
import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mcunas.cost.regression import nonnegative, relative_fit
from mcunas.cost.tflm_cycles import TERMS, graph_terms, terms
from mcunas.graph import read_tflite
from mcunas.paths import boards_dir

FOLDS = 5
TIE = 0.05              # weight of what is usual beside what was measured
START = np.array((15.0, 4.0))
MODELS = {"KWS": "kws_ref_model", "IC": "pretrainedResnet_quant", "VWW": "vww_96_int8", "AD": "ad01_int8"}
# Accelerators, float, and networks whose dead channels an engine removed say nothing of the kernels' prices.
FLAGGED = re.compile(r"dead-channel|accelerat|EXCLUDE|MVP|max_perf|min_ram", re.IGNORECASE)
CORES = {"Cortex-M0+": "cortex-m0plus", "Cortex-M4F": "cortex-m4", "Cortex-M7": "cortex-m7", "Cortex-M33": "cortex-m33"}
BASIS = {"cortex-m4": "NUCLEO-F446RE", "cortex-m7": "NUCLEO-F446RE", "cortex-m33": "NUCLEO-L552ZE-Q"}
DENSE, DEPTHWISE = TERMS.index("dense_macs"), TERMS.index("depthwise_macs")


@dataclass(frozen=True)
class Fit:
    """cycles per TERMS; errors in percent: of held-out layers (median, 90th percentile), or per network."""

    name: str
    cycles: np.ndarray
    error_percent: float
    basis: str
    data: str


def layer_rows(path: Path) -> dict[str, tuple[str, int, np.ndarray, np.ndarray, list[str]]]:
    """device -> (core, Hz, TERMS (n, k), cycles (n,), shape of each layer)."""
    found: dict[str, list] = defaultdict(list)
    for row in csv.DictReader(path.open()):
        device, shape = row["device"].split("(")[0], f"{row['layer']} {row['input']} {row['output']} {row['kernel']}"
        x, y = (tuple(json.loads(row[k])) for k in ("input", "output"))
        kind = {"3": "CONV_2D", "0": "ADD", "40": "MEAN", "25": "SOFTMAX"}[row["tflite_op"]]
        attrs, shapes = {}, [x]
        if kind == "CONV_2D":
            kernel, stride = json.loads(row["kernel"]), json.loads(row["strides"])
            attrs = {"padding": row["padding"].upper(), "stride_h": stride[0], "stride_w": stride[1],
                     "dilation_h": 1, "dilation_w": 1}
            shapes.append((y[3], *kernel, x[3]))
        found[device].append((CORES[row["core"]], round(float(row["mhz"]) * 1e6), terms(kind, attrs, shapes, y),
                              float(row["op_cycles"]), shape))
    return {d: (r[0][0], r[0][1], np.array([x[2] for x in r]), np.array([x[3] for x in r]), [x[4] for x in r])
            for d, r in found.items()}


def held_out_errors(features: np.ndarray, counts: np.ndarray, shapes: Sequence[str]) -> np.ndarray:
    """Relative error of every layer as predicted by a fit that has seen no layer of its shape."""
    fold = {s: i % FOLDS for i, s in enumerate(sorted(set(shapes), key=lambda s: (hash_of(s), s)))}
    folds, errors = np.array([fold[s] for s in shapes]), np.zeros(len(counts))
    for k in range(FOLDS):
        prices = relative_fit(features[folds != k], counts[folds != k])
        errors[folds == k] = features[folds == k] @ prices / counts[folds == k] - 1
    return errors


def hash_of(text: str) -> int:
    """A shuffle that is the same every time."""
    return sum((i + 1) * ord(c) * 2654435761 for i, c in enumerate(text)) % (1 << 32)


def network_rows(path: Path) -> dict[tuple[str, str, int, str], dict[str, float]]:
    """(board, core, Hz, engine) -> network -> median cycles of its MLPerf Tiny submissions."""
    found: dict[tuple, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in csv.DictReader(path.open()):
        model = re.search(r"MLPerfTiny (\w+)", row["model"])
        flagged = FLAGGED.search(" ".join((row["core"], row["engine"], row["note"])))
        if model and model[1] in MODELS and row["dtype"] == "int8" and row["core"] in CORES and not flagged:
            key = (row["board"], CORES[row["core"]], round(float(row["mhz"]) * 1e6), row["engine"].split(" (")[0])
            found[key][model[1]].append(float(row["cycles"]))
    return {k: {m: float(np.median(v)) for m, v in nets.items()} for k, nets in found.items()}


def columns(networks: dict[str, np.ndarray], shape: np.ndarray) -> dict[str, np.ndarray]:
    """Network -> (cycles of its other layers on the basis board, depthwise MACs, fully connected MACs)."""
    plain = shape.copy()
    plain[[DENSE, DEPTHWISE]] = 0
    return {n: np.array([terms @ plain, terms[DEPTHWISE], terms[DENSE]]) for n, terms in networks.items()}


def factors_of(measured: dict[str, float], networks: dict[str, np.ndarray], usual: np.ndarray) -> np.ndarray:
    """(factor on the basis, cycles per depthwise MAC, per fully connected MAC) of what was measured.

    usual: what the last two are for a factor of 1 with other engines; it decides what the networks leave open.
    """
    rows = np.array([networks[n] / measured[n] for n in measured])
    factor = 1 / np.median(rows[:, 0][rows[:, 0] > 0])
    ties = np.array([[-1, 1 / usual[0], 0], [-1, 0, 1 / usual[1]]]) * TIE / factor
    return nonnegative(np.vstack((rows, ties)), np.append(np.ones(len(rows)), np.zeros(2)))


def fit_networks(measured: dict[str, float], networks: dict[str, np.ndarray], usual: np.ndarray) -> tuple[
        np.ndarray, dict[str, float], dict[str, float]]:
    """(factors, error per network in percent, the same of each as predicted from the others)."""
    factors = factors_of(measured, networks, usual)
    errors = {n: float(networks[n] @ factors / measured[n] - 1) * 100 for n in measured}
    held = {}
    for name in measured:
        others = {n: c for n, c in measured.items() if n != name}
        held[name] = float(networks[name] @ factors_of(others, networks, usual) / measured[name] - 1) * 100
    return factors, errors, held


def fit(data: Path) -> dict[str, tuple[str, int, list[Fit]]]:
    """board -> (core, Hz, fits: those with CMSIS-NN's kernels first)."""
    networks = {m: np.array(graph_terms(read_tflite((data / "mlperf_tiny" / f"{f}.tflite").read_bytes(), m)))
                for m, f in MODELS.items()}
    layers = layer_rows(data / "measurements" / "micronas_layers.csv")
    shapes = {device: relative_fit(features, counts) for device, (_, _, features, counts, _) in layers.items()}
    found: dict[str, tuple[str, int, list[Fit]]] = {}
    rows = {key: nets for key, nets in network_rows(data / "measurements" / "latency.csv").items() if len(nets) > 2}
    work = {core: columns(networks, shapes[basis]) for core, basis in BASIS.items()}
    first = {key: factors_of(nets, work[key[1]], START) for key, nets in rows.items()}
    for (board, core, hz, engine), measured in sorted(rows.items()):
        usual = np.median([f[1:] / f[0] for key, f in first.items() if key[0] != board], axis=0)
        factors, errors, held = fit_networks(measured, work[core], usual)
        cycles = shapes[BASIS[core]] * factors[0]
        cycles[DEPTHWISE], cycles[DENSE] = factors[1:]
        checked = [held[n] for n in held if n != "AD"]      # nothing else says what a fully connected layer costs
        note = ", ".join(f"{n} {errors[n]:+.1f} % ({held[n]:+.0f} %)" for n in sorted(errors))
        found.setdefault(board, (core, hz, []))[2].append(
            Fit(f"TFLM-class: {engine}" if "CMSIS-NN" in engine else engine, cycles, max(map(abs, checked)), BASIS[core],
                f"{len(errors)} MLPerf Tiny networks (each from the others alone): {note}"))
    reference = found["NUCLEO-L4R5ZI"][2]
    reference.sort(key=lambda f: not f.name.startswith("TFLM-class"))
    for device, (core, hz, features, counts, names) in layers.items():
        error = np.abs(held_out_errors(features, counts, names)) * 100
        cycles = shapes[device].copy()
        ratio = cycles[0] / reference[0].cycles[0]          # no such layers were measured here: by the other board's
        cycles[[DEPTHWISE, DENSE]] = reference[0].cycles[[DEPTHWISE, DENSE]] * ratio
        median, tail = np.percentile(error, (50, 90))
        text = (f"{len(error)} layers of {len(set(names))} shapes with TFLM + CMSIS-NN, held-out shapes: median "
                f"{median:.1f} %, 90th percentile {tail:.1f} %; depthwise and fully connected by ratio to NUCLEO-L4R5ZI")
        whole = Fit("TFLM + CMSIS-NN", cycles, reference[0].error_percent, device, text)
        found.setdefault(device, (core, hz, []))[2].insert(0, whole)
    return found


def toml(board: str, core: str, hz: int, fits: Sequence[Fit]) -> str:
    lines = ["# SPDX-License-Identifier: Apache-2.0",
             "# Written by python -m mcunas.cost.fit_silicon: cycles per unit of work (cost/tflm_cycles.py).",
             f'board = "{board}"', f'core = "{core}"', f"clock_hz = {hz}"]
    for f in fits:
        prices = ", ".join(f"{t} = {v:.4g}" for t, v in zip(TERMS, f.cycles) if v > 0)
        lines += ["", "[[engine]]", f'name = "{f.name}"', f"error_percent = {f.error_percent:.1f}", f'basis = "{f.basis}"',
                  f'data = "{f.data}"', f"cycles = {{ {prices} }}"]
    return "\n".join(lines) + "\n"


def main() -> None:
    folder = os.environ.get("MCUNAS_DATA")
    if not folder:
        sys.exit("MCUNAS_DATA is not set: it names the folder with measurements/ and mlperf_tiny/")
    for board, (core, hz, fits) in fit(Path(folder)).items():
        path = boards_dir() / "cost" / f"silicon-{board.lower()}.toml"
        path.write_text(toml(board, core, hz, fits))
        print(path.name, *(f"  {f.name}: ±{f.error_percent:.1f} %; {f.data}" for f in fits), sep="\n")


if __name__ == "__main__":
    main()
