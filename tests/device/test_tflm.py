# SPDX-License-Identifier: Apache-2.0
"""ENGINE=tflm: what is generated around TFLM is built and run, with a small stand-in for the library; with TFLM_ROOT set,
with the library itself."""
from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcunas import api
from mcunas.board import Board
from mcunas.cli import main
from mcunas.cost.tflm_arena import tflm_arena
from mcunas.device.compare import compare
from mcunas.device.link import DeviceError
from mcunas.device.step_times import step_times
from mcunas.device.target import connect
from mcunas.device.tflm import LIBRARY, Needs, Tflm, build_tflm
from mcunas.device.tflm_engine import OPERATORS, engine_cc
from mcunas.errors import DoesNotFit, InputError
from mcunas.graph import read_tflite, write_tflite
from tests.small_models import dense

BOARD = Board.load("mps2-an386")
USED_BYTES, LEAST_BYTES = 1000, 1056         # it takes more to set up than is used in the end
# Just enough of TFLM's interface, with sums for a network.
_HEADERS = {
    "micro_interpreter.h": """
#pragma once
#include <stddef.h>
#include <stdint.h>
enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
struct TfLiteTensor { union { uint8_t *uint8; int8_t *int8; } data; };
struct TfLiteEvalTensor { union { void *data; } data; };
namespace tflite {
struct Model;
struct Resolver { int known = 0; };
class MicroProfilerInterface;
class MicroInterpreter {
 public:
  MicroInterpreter(const Model *, const Resolver &r, uint8_t *arena, size_t size, void *, MicroProfilerInterface *profiler,
                   bool keeps_all)
      : r_(r), arena_(arena), size_(size), profiler_(profiler), keeps_all_(keeps_all) {}
  ~MicroInterpreter() {}
  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  TfLiteTensor *input(size_t) { return &in_; }
  TfLiteTensor *output(size_t) { return &out_; }
  size_t arena_used_bytes() const;
  TfLiteEvalTensor *GetTensor(int index) {
    all_.data.data = keeps_all_ && index == 3 ? out_.data.uint8 : nullptr;
    return &all_;
  }
 private:
  const Resolver &r_;
  uint8_t *arena_;
  size_t size_;
  MicroProfilerInterface *profiler_;
  bool keeps_all_;
  TfLiteTensor in_, out_;
  TfLiteEvalTensor all_;
};
}
""",
    "micro_profiler_interface.h": """
#pragma once
#include <stdint.h>
namespace tflite {
class MicroProfilerInterface {
 public:
  virtual ~MicroProfilerInterface() {}
  virtual uint32_t BeginEvent(const char *) = 0;
  virtual void EndEvent(uint32_t) = 0;
};
}
""",
    "micro_mutable_op_resolver.h": """
#pragma once
#include "tensorflow/lite/micro/micro_interpreter.h"
namespace tflite {
struct Registration {};
template <unsigned n> struct MicroMutableOpResolver : Resolver {
  TfLiteStatus AddFullyConnected(Registration) { known += 1; return kTfLiteOk; }
  TfLiteStatus AddSoftmax(Registration) { known += 10; return kTfLiteOk; }
};
}
""",
    "kernels/fully_connected.h": "namespace tflite { struct Registration; Registration Register_FULLY_CONNECTED_INT8(); }\n",
    "kernels/softmax.h": "namespace tflite { struct Registration; Registration Register_SOFTMAX_INT8(); }\n",
}
_SOURCE = """
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/micro/micro_profiler_interface.h"
void operator delete(void *, unsigned) {}
namespace tflite {
Registration Register_FULLY_CONNECTED_INT8() { return {}; }
Registration Register_SOFTMAX_INT8() { return {}; }
TfLiteStatus MicroInterpreter::AllocateTensors() {
  in_.data.uint8 = arena_ + 64;
  out_.data.uint8 = arena_ + 512;
  return r_.known == KNOWN && size_ >= 1056 ? kTfLiteOk : kTfLiteError;
}
TfLiteStatus MicroInterpreter::Invoke() {
  uint32_t sum = 0;
#ifdef TELLS
  if (profiler_) profiler_->EndEvent(profiler_->BeginEvent("FULLY_CONNECTED"));
#endif
  for (int i = 0; i < 40; i++) sum += in_.data.uint8[i];
  for (int i = 0; i < 6; i++) out_.data.uint8[i] = (uint8_t)(sum + i);
  return kTfLiteOk;
}
size_t MicroInterpreter::arena_used_bytes() const { return 1000; }
}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake(tmp_path_factory.mktemp("tflm"), "-DTELLS")


def fake(root: Path, *defines: str) -> Path:
    for name, text in _HEADERS.items():
        path = root / "tensorflow/lite/micro" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "tensorflow/lite/schema").mkdir(parents=True)
    (root / "tensorflow/lite/schema/schema_generated.h").write_text(
        "namespace tflite { struct Model; inline const Model *GetModel(const void *p) { return (const Model *)p; } }\n")
    (root / "lib.cc").write_text(_SOURCE)
    known = sum({"FULLY_CONNECTED": 1, "SOFTMAX": 10}[kind] for kind in {op.kind for op in dense(40, 6).ops})
    subprocess.run(["arm-none-eabi-g++", *BOARD.cflags, "-std=c++17", "-Os", "-fno-exceptions", "-fno-rtti", *defines,
                    f"-DKNOWN={known}", f"-I{root}", "-c", "lib.cc", "-o", "lib.o"], cwd=root, check=True)
    (root / "gen/cortex_m_generic/lib").mkdir(parents=True)
    subprocess.run(["arm-none-eabi-ar", "rc", f"gen/cortex_m_generic/lib/{LIBRARY}", "lib.o"], cwd=root, check=True)
    return root


@pytest.fixture
def model(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TFLM_ROOT", str(root))
    path = tmp_path / "model.tflite"
    path.write_bytes(write_tflite(dense(40, 6)))
    return path


def said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, Any]:
    """(exit status, JSON) of a command."""
    with pytest.raises(SystemExit) as leave:
        main([*map(str, words), "--engine", "tflm", "--json"])
    return leave.value.code, json.loads(capsys.readouterr().out)


def test_run_and_profile_take_tflm_as_the_engine(model: Path, tmp_path: Path, capsys) -> None:
    np.save(tmp_path / "x.npy", np.arange(40, dtype=np.int8)[None])
    status, found = said(capsys, "run", model, "--input", tmp_path / "x.npy")
    assert status == 0 and found["outputs"][0]["values"] == [780 + i - 768 for i in range(6)]
    status, (step,) = said(capsys, "profile", model)
    assert status == 0 and step["layers"] == ["0 FULLY_CONNECTED"] and step["unit"] == "instructions"
    assert 150 < step["measured"] < 400


def test_validate_takes_tflm_on_a_boards_core_and_finds_the_layer(model: Path, tmp_path: Path, capsys) -> None:
    """It sums, and does not multiply; the board has no emulator of its own."""
    status, found = said(capsys, "validate", model, "--board", "nucleo-l4r5zi", "--inputs", 2, "--out", tmp_path / "run")
    assert status == 1 and found["mismatches"] > 0
    assert found["located"]["op"] == 0 and found["located"]["kind"] == "FULLY_CONNECTED"
    assert (found["ram_bytes"], found["predicted"]["ram_bytes"]) == (USED_BYTES, USED_BYTES)
    assert 150 < found["instructions"] < 400 and found["cycles"] > 0 and found["predicted"]["flash_bytes"] > 0
    assert (tmp_path / "run/report.html").exists()


def test_a_tflm_that_tells_nothing_of_its_operators_is_said(model: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TFLM_ROOT", str(fake(tmp_path / "silent")))
    image = api.build(model, BOARD, tmp_path / "out", engine="tflm")
    with pytest.raises(DeviceError, match="a library built without TF_LITE_STRIP_ERROR_STRINGS does"):
        step_times(image)


def test_engines_that_do_not_exist_and_kernels_for_tflm_are_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown engine 'tflite'; use aot or tflm"):
        api.build(model, BOARD, tmp_path, engine="tflite")
    with pytest.raises(InputError, match="TFLM has no kernels to choose from; leave --tuned out"):
        api.build(model, BOARD, tmp_path, engine="tflm", tuned=model)


def test_the_generated_firmware_links_runs_and_takes_the_arena_that_tflm_uses(root: Path, tmp_path: Path) -> None:
    graph = dense(40, 6)
    image = build_tflm(graph, write_tflite(graph), BOARD, tmp_path, Tflm.find(str(root)))
    assert image.manifest["arena_bytes"] == LEAST_BYTES == image.manifest["build"]["arena_bytes"]
    data = bytes(range(40))
    with connect(image) as link:
        for _ in range(2):
            link.load(data)
            link.infer()
            assert link.output() == bytes((sum(data) + i) & 0xFF for i in range(6))
        memory = link.memory()
    assert memory.arena_used == USED_BYTES and 0 < memory.stack_used < memory.stack


def test_the_resolver_has_exactly_the_models_operators(data_dir: Path) -> None:
    for name, kinds in (("kws_ref_model", 6), ("ad01_int8", 1)):
        graph = read_tflite(data_dir / "mlperf_tiny" / f"{name}.tflite")
        text = engine_cc(graph, 1024)
        wanted = {OPERATORS[op.kind][0] for op in graph.ops}
        assert set(re.findall(r"resolver\.(\w+)\(", text)) == wanted
        assert f"MicroMutableOpResolver<{len(wanted)}>" in text and len(wanted) <= kinds
        assert "Register_FULLY_CONNECTED_INT8()" in text


def test_compile_writes_what_build_compiles_without_the_library(model: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    root = os.environ["TFLM_ROOT"]
    monkeypatch.delenv("TFLM_ROOT")
    status, facts = said(capsys, "compile", model, "--board", BOARD.key, "--out", tmp_path / "c")
    assert status == 0 and facts["engine"] == "tflm" and facts["arena_source"].startswith("predicted")
    graph, data = read_tflite(model), model.read_bytes()
    predicted = tflm_arena(graph, BOARD.isa).total_bytes
    assert predicted == facts["arena_used_bytes"] < facts["arena_bytes"] <= predicted + 1024
    image = build_tflm(graph, data, BOARD, tmp_path / "b", Tflm.find(root), Needs(facts["arena_bytes"], predicted))
    for name in ("model.c", "engine.cc", "board.h", "link.ld"):
        assert (tmp_path / "c" / name).read_text() == (image.folder / name).read_text()
    assert {k: facts[k] for k in image.manifest if k != "build"} == {k: v for k, v in image.manifest.items() if k != "build"}
    assert "engine.cc" in (tmp_path / "c/sbom.cdx.json").read_text()


def test_compile_for_tflm_refuses_an_arena_beyond_the_limit(model: Path) -> None:
    texts, facts = api.compile_tflm(model, BOARD, ram=2000)
    assert facts["arena_used_bytes"] <= facts["arena_bytes"] <= 2000
    assert f"app_arena[{facts['arena_bytes']}]" in texts["engine.cc"]
    with pytest.raises(DoesNotFit, match="TFLM's arena is predicted to take"):
        api.compile_tflm(model, BOARD, ram=100)
    with pytest.raises(InputError, match="leave --tuned out"):
        api.compile_tflm(model, BOARD, tuned=model)


def test_a_missing_or_half_built_tflm_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TFLM_ROOT", raising=False)
    with pytest.raises(InputError, match=f"TFLM_ROOT is not set; let it name a folder with TFLM's headers and {LIBRARY}"):
        Tflm.find()
    with pytest.raises(InputError, match="has no tensorflow/lite/micro/micro_interpreter.h"):
        Tflm.find(str(tmp_path))
    (tmp_path / "tensorflow/lite/micro").mkdir(parents=True)
    (tmp_path / "tensorflow/lite/micro/micro_interpreter.h").write_text("")
    with pytest.raises(InputError, match=f"holds 0 files {LIBRARY}"):
        Tflm.find(str(tmp_path))


@pytest.mark.skipif(not os.environ.get("TFLM_ROOT"), reason="TFLM_ROOT is not set")
def test_both_engines_give_the_same_bytes(data_dir: Path, tmp_path: Path) -> None:
    image = api.build(data_dir / "mlperf_tiny" / "kws_ref_model.tflite", BOARD, tmp_path, optimize="cycles")
    ours, theirs = compare(image, Tflm.find())
    assert ours.differing == theirs.differing == 0
    assert ours.ram_bytes < theirs.ram_bytes and ours.flash_bytes < theirs.flash_bytes
