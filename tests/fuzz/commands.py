# SPDX-License-Identifier: Apache-2.0
"""The firmware's command parser (commands.c), built for the host with libFuzzer and sanitizers.

The first byte of the data chooses the model, the rest is what comes over the serial line.
"""
from __future__ import annotations

import subprocess
import zlib
from pathlib import Path

from mcunas.errors import ToolMissing
from mcunas.paths import firmware_dir

BYTES = 600
WORDS = (b"db load ", b"db print%", b"infer ", b"seed ", b"raw%", b"mem%", b"bench%", b"board%", b"results%", b"out%",
         b"boxes%", b"help%", b"name%", b"profile%", b"timestamp%", b"4294967295", b"%", b"@1 ", b"taps%", b"tap 0 0%")
_SOURCE = Path(__file__).with_suffix(".c")


def framed(number: int, words: bytes) -> bytes:
    return b"@%d %08x %s%%" % (number, zlib.crc32(words), words)


def seeds() -> tuple[bytes, ...]:
    data = b"db load 32%db " + b"01" * 32 + b"%db print%"
    talk = b"name%profile%timestamp%help%board%" + data + b"infer 2 1%results%out%boxes%mem%bench%"
    frames = b"".join(framed(n, words) for n, words in enumerate((b"seed 7", b"infer 1", b"out", b"mem", b"boxes"), 1))
    taps = b"seed 3%taps%tap 0 0%"
    raw = b"raw%" + bytes(range(64)) + b"infer 1 0%out%results%"
    return tuple(bytes([model]) + said for model in range(3) for said in (talk, frames, taps, raw))


def build(folder: Path, fuzzer: bool = True) -> Path:
    """The program. fuzzer: with libFuzzer's main; else it runs each file that it is given. Raises ToolMissing."""
    root = firmware_dir()
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / ("commands" if fuzzer else "commands-once")
    engine = ["-fsanitize=fuzzer,address,undefined"] if fuzzer else ["-fsanitize=address,undefined", "-DONCE"]
    application = [path for path in sorted((root / "app").glob("*.c")) if path.stem != "main"]
    sources = [*application, root / "decode/mn_boxes_s8.c", root / "probe/probe.c", _SOURCE]
    headers = [_SOURCE.parent / "host", *(root / name for name in ("app", "platform", "kernels", "decode", "probe"))]
    command = ["clang", "-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", *engine, "-fno-sanitize-recover=all",
               "-DMN_TAP", "-DAPP_DECODES", *(f"-I{path}" for path in headers), *map(str, sources), "-o", str(program)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise ToolMissing("clang is not installed", fix="on Debian: apt-get install clang libclang-rt-dev") from None
    return program
