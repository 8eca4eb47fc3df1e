# SPDX-License-Identifier: Apache-2.0
"""The firmware's own printing and checksum, compiled for the host: numbers come out as Python writes them."""
from __future__ import annotations

import ctypes
import subprocess
import zlib
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mcunas.paths import firmware_dir

HARNESS = """
#include <stdint.h>
static char text[64];
static uint32_t length;
void uart_putc(char c);
const char *printed(void);
void uart_putc(char c) { text[length++ % 63] = c; }
const char *printed(void) { text[length] = 0; length = 0; return text; }
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder, root = tmp_path_factory.mktemp("app"), firmware_dir()
    (folder / "harness.c").write_text(HARNESS)
    subprocess.run(["cc", "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                    "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error", f"-I{root}/app",
                    f"-I{root}/platform", f"-I{root}/kernels", str(root / "app/text.c"), str(root / "app/crc32.c"),
                    str(folder / "harness.c"), "-o", str(folder / "app.so")], check=True)
    library = ctypes.CDLL(str(folder / "app.so"))
    library.printed.restype = ctypes.c_char_p
    library.put_u64.argtypes = [ctypes.c_uint64]
    library.put_scaled.argtypes = [ctypes.c_int32, ctypes.c_float]
    library.crc32_update.restype = ctypes.c_uint32
    return library


@given(st.integers(0, 10**13))
@example(10**9)
@example(2 * 10**9 + 5)
@example(0)
def test_microseconds(app: ctypes.CDLL, value: int) -> None:
    app.put_u64(value)
    assert app.printed().decode() == str(value)


@given(st.integers(-512, 512), st.floats(2.0**-60, 2.0**120, width=32))
@example(-1, 2.0**-60)
@example(255, np.float32(1 / 256).item())
@example(1, 4294967.0)
@example(0, 1.0)
@example(0, 2.0**100)
def test_scaled_values_have_three_rounded_decimals(app: ctypes.CDLL, value: int, scale: float) -> None:
    app.put_scaled(value, scale)
    thousandths = min(int(abs(value) * Fraction(scale) * 1000 + Fraction(1, 2)), 2**32 - 1)
    sign = "-" if value < 0 and thousandths else ""
    assert app.printed().decode() == f"{sign}{thousandths // 1000}.{thousandths % 1000:03}"


@given(st.binary(max_size=100), st.integers(0, 100))
def test_the_checksum_is_zlibs_and_goes_on(app: ctypes.CDLL, data: bytes, cut: int) -> None:
    first = app.crc32_update(0, data[:cut], len(data[:cut]))
    assert app.crc32_update(first, data[cut:], len(data[cut:])) == zlib.crc32(data)
