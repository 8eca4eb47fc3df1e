# SPDX-License-Identifier: Apache-2.0
"""A model of ONNX, Keras or TensorFlow -> float .tflite, its nodes' names, and what the original answers.

Started as ``python run.py`` with a JSON request on stdin: kind ("onnx", "keras" or "saved_model"), model (path), samples
(path of an .npz) and out (a folder). It leaves there result.json, and unless that holds an error also model.tflite and
answers.npz.
"""
from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1", TF_ENABLE_ONEDNN_OPTS="0")

import numpy as np  # noqa: E402
from complaint import Complaint, first_line  # noqa: E402
from converted import Converted  # noqa: E402


def convert(kind: str, model: str, samples: dict[str, np.ndarray]) -> Converted:
    if kind == "onnx":
        from onnx_model import convert_onnx

        return convert_onnx(model, samples)
    from keras_model import convert_keras, convert_saved_model

    return (convert_keras if kind == "keras" else convert_saved_model)(model, samples)


def save(done: Converted, out: Path) -> dict[str, Any]:
    (out / "model.tflite").write_bytes(done.tflite)
    np.savez(out / "answers.npz", **{f"{sample} {k}": answer for sample, outputs in enumerate(done.answers)
                                     for k, answer in enumerate(outputs)})
    inputs = [{"name": name, "shape": shape, "permutation": permutation}
              for (name, shape), permutation in zip(done.inputs, done.permutations)]
    return {"inputs": inputs, "nodes": dict(done.nodes)}


def main() -> None:
    request = json.load(sys.stdin)
    out = Path(request["out"])
    try:
        with np.load(request["samples"], allow_pickle=False) as stored:
            samples = {name: stored[name] for name in stored.files}
        result = save(convert(request["kind"], request["model"], samples), out)
    except Complaint as complaint:
        result = {"error": {"what": complaint.what, "where": complaint.where, "fix": complaint.fix}}
    except (Exception, SystemExit) as error:        # onnx2tf exits where it gives up
        result = {"error": {"what": f"cannot be converted ({first_line(error)})", "where": "", "fix": ""}}
    (out / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
