# SPDX-License-Identifier: Apache-2.0
"""From a model in any form to firmware: what ``mcunas.build`` and the command line share."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from mcunas.compiler import Compiled
    from mcunas.device import Image
    from mcunas.graph import Graph


def load_model(model: Any) -> tuple[Graph, bytes]:
    """(graph, .tflite bytes) of a path, of .tflite bytes, of a Graph, or of what mcunas.quantize returned.

    A file's bytes are kept as they are, because the oracle must see what the user has. Raises InputError.
    """
    from mcunas.graph import Graph, read_tflite, write_tflite

    if isinstance(model, str | Path):
        path = Path(model)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"cannot read the model ({error.strerror})", str(path), "name a .tflite file") from None
        return read_tflite(path), data
    if isinstance(model, bytes):
        return read_tflite(model), model
    graph = getattr(model, "graph", model)
    if not isinstance(graph, Graph):
        raise InputError(f"a {type(model).__name__} is not a model", fix="give a .tflite file or a quantized model")
    return graph, write_tflite(graph)


def load_array(path: Path) -> np.ndarray:
    """The array in a .npy file. Raises InputError."""
    import numpy as np

    try:
        array = np.load(path, allow_pickle=False)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", str(path), "name a .npy file") from None
    except Exception:       # numpy and zipfile each have their own ways to say that a file is damaged
        raise InputError("is not a .npy file", str(path), "write it with numpy.save") from None
    if not isinstance(array, np.ndarray):
        raise InputError("holds several arrays", str(path), "write one array with numpy.save")
    return array


def compile_model(model: Any, board: Board | str, optimize: str = "balanced",
                  tuned: str | Path | None = None, ram: int | str | None = None,
                  flash: int | str | None = None) -> tuple[Compiled, bytes]:
    """(compiled, .tflite bytes). tuned: a file that `mcunas tune` wrote. ram: limit of the arena, like "12 KiB"; flash: of
    the model's share of the image.

    Raises InputError, DoesNotFit.
    """
    from mcunas.compiler import Choice, compile_graph

    chosen = board if isinstance(board, Board) else Board.load(board)   # first: the cheapest mistake to report
    graph, data = load_model(model)
    choice, limits = Choice.load(tuned) if tuned else None, Budget(ram, flash).for_board(chosen)
    return compile_graph(graph, chosen, optimize=optimize, choice=choice, ram_bytes=limits.ram_bytes,
                         flash_bytes=limits.flash_bytes), data


def compile_tflm(model: Any, board: Board | str, tuned: str | Path | None = None, ram: int | str | None = None
                 ) -> tuple[dict[str, str], dict[str, Any]]:
    """(file -> text, manifest): the model under TensorFlow Lite Micro, which is not needed for it. ram: limit of the arena.

    Raises InputError, DoesNotFit.
    """
    from mcunas.device.tflm_sources import compile_tflm as compiled_for_tflm

    chosen = board if isinstance(board, Board) else Board.load(board)
    _no_kernels_to_choose(tuned)
    return compiled_for_tflm(*load_model(model), chosen, Budget(ram).for_board(chosen).ram_bytes)


def _no_kernels_to_choose(tuned: str | Path | None) -> None:
    if tuned:
        raise InputError("TFLM has no kernels to choose from", str(tuned), "leave --tuned out, or use the engine aot")


def build(model: Any, board: Board | str, out: str | Path | None = None, *, budget: Budget | None = None,
          optimize: str = "balanced", tuned: str | Path | None = None, debug: bool = False,
          decoder: Any = None, engine: str = "aot") -> Image:
    """Firmware (ELF, bin, hex, manifest) for `model` in folder `out`, by default build/<model>-<board>.

    model: see `load_model`. budget: limits that the plan keeps and the linker enforces; by default what the board has.
    tuned: a file that `mcunas tune` wrote. decoder: what the task's objective says of decoding on the board. engine: "aot",
    or "tflm" for TensorFlow Lite Micro as $TFLM_ROOT has it, whose kernels neither `optimize` nor `tuned` changes.
    Raises InputError, ToolMissing, DoesNotFit; CheckFailed where TFLM cannot run the model.
    """
    from mcunas.device.build import build as build_firmware

    chosen = board if isinstance(board, Board) else Board.load(board)
    limits = (budget or Budget()).for_board(chosen)
    if engine == "tflm":
        from mcunas.device.tflm import Tflm, build_tflm

        _no_kernels_to_choose(tuned)
        tflm, (graph, data) = Tflm.find(), load_model(model)
        return build_tflm(graph, data, chosen, Path("build") / f"tflm-{chosen.key}" if out is None else Path(out), tflm,
                          ram_bytes=limits.ram_bytes, flash_bytes=limits.flash_bytes, decoder=decoder)
    if engine != "aot":
        raise InputError(f"unknown engine {engine!r}", "build", "use aot or tflm")
    compiled, data = compile_model(model, chosen, optimize, tuned, limits.ram_bytes, limits.flash_bytes)
    folder = Path("build") / f"{compiled.model_id}-{chosen.key}" if out is None else Path(out)
    return build_firmware(compiled, chosen, folder, debug=debug, tflite=data, ram_bytes=limits.ram_bytes,
                          flash_bytes=limits.flash_bytes, decoder=decoder)
