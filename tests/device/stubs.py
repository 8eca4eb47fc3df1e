# SPDX-License-Identifier: Apache-2.0
"""Hand-written models, so that the firmware is tested without the compiler: each is one C function over the arena."""
from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

INPUT_BYTES, ARENA_BYTES = 32, 256

_MODEL_C = """\
#include "model.h"
{functions}
static void invoke(uint8_t *arena) {{
  {body}
}}
static const struct mn_tensor in[] = {{{{"in", 0, {input_bytes}, MN_INT8, 2, {{1, {input_bytes}}}, 0.5f, 3}}}};
static const struct mn_tensor out[] = {{{{"out", {arena_bytes} - 16, 4, MN_INT8, 2, {{1, 4}}, 0.25f, -128}}}};
const struct mn_model mn_model_stub = {{"stub", {arena_bytes}, 1, 1, in, out, invoke}};
"""

# The sum of the input's bytes, little endian, in the arena's last 16 bytes; the input is destroyed as it is read.
SUM = f"""
  uint32_t sum = 0;
  for (uint32_t i = 0; i < {INPUT_BYTES}u; i++) {{ sum += arena[i]; arena[i] = 0; }}
  for (uint32_t k = 0; k < 16u; k++) arena[{ARENA_BYTES}u - 16u + k] = k < 4u ? (uint8_t)(sum >> 8 * k) : 0x5Au;
"""


@dataclass(frozen=True)
class Stub:
    """Has what `build` reads of a Compiled."""

    model_c: str
    model_h: str
    manifest: dict[str, Any] = field(default_factory=dict)
    kernels: tuple[str, ...] = ()
    optimize: str = "balanced"
    model_id: str = "stub"
    plan: Any = field(default_factory=lambda: SimpleNamespace(home=0, region_bytes=(ARENA_BYTES,)))


def stub(body: str = SUM, functions: str = "", arena_bytes: int = ARENA_BYTES, input_bytes: int = INPUT_BYTES) -> Stub:
    header = ('#include <stdint.h>\n#include "mn_model.h"\n'
              f"#define MN_STUB_ARENA_BYTES {arena_bytes}u\nextern const struct mn_model mn_model_stub;\n")
    source = _MODEL_C.format(body=body, functions=functions, arena_bytes=arena_bytes, input_bytes=input_bytes)
    return Stub(source, header, {"arena_bytes": arena_bytes})
