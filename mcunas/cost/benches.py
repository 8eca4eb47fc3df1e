# SPDX-License-Identifier: Apache-2.0
"""The micro-benchmarks of a calibration: for each figure of [timing] straight-line code that it decides, and code that
only checks what the figures together say.

A body is repeated n and 2n times in a loop; the difference is n bodies, whatever the loop costs. In unified assembly:
r1, r2: addresses of two places in RAM, 64 bytes apart; [r1] holds its own address, [r2] zeroes. r3 = 4, r4, r5: operands
(`operands`), r6: changes from turn to turn where `head` does so. r0, r8, r9 are free, and r3 to r6 where nothing needs
them; r7 counts. Z is set. A label 7 is a literal behind the loop.
"""
from __future__ import annotations

from dataclasses import dataclass

COPIES = 16
TURNS = 64
_RANDOM = "lsls r0, r6, #13; eors r6, r0; lsrs r0, r6, #17; eors r6, r0; lsls r0, r6, #5; eors r6, r0; mov r5, r6"

_SCALAR, _M0 = frozenset({"scalar"}), frozenset({"m0"})
_MVE = frozenset({"mve"})
_DSP = frozenset({"dsp"}) | _MVE
_V7 = frozenset({"m3"}) | _DSP
_ALL = _V7 | _M0 | _SCALAR
_NARROW = _M0 | _SCALAR


@dataclass(frozen=True)
class Bench:
    """entry: the figure of Timing that it decides; "": it checks. minus: another bench, where the figure is the difference.
    taken: share of its conditional branches that are taken. turns: of a loop inside the body. mix: a kernel's inner loop,
    from which plain cycles per instruction come. walks: code longer than what a flash accelerator keeps."""

    name: str
    body: str
    entry: str = ""
    isas: frozenset[str] = _ALL
    minus: str = ""
    operands: tuple[int, int] = (0x12345678, 7)
    taken: float = 1.0
    turns: int = 1
    head: str = ""
    copies: int = COPIES
    mix: bool = False
    walks: bool = False


_FREE = "; adds r5, r5, r3"     # an instruction beside, that has nothing to do with it
_SMALL, _LARGE = (1, 3), (0x7FFFFFFF, 0x7FFFFFF3)
_QUOTIENT = (0x7FFFFFFF, 3)

_BENCHES = (
    Bench("alu", "adds r0, r0, r3"),
    Bench("alu_pair", "add.w r0, r3, r4; add.w r6, r3, r4", isas=_V7),
    Bench("load_alone", "ldr r0, [r1]" + _FREE, "load"),
    Bench("load_behind_load", "ldr r0, [r1]; ldr r5, [r2]", "load_behind_load"),
    Bench("load_used", "ldr r0, [r1]; adds r5, r5, r0", "load_use"),
    Bench("load_byte_used", "ldrb r0, [r2]; adds r5, r5, r0", "load_use_narrow"),
    Bench("load_chain", "ldr r1, [r1]"),
    Bench("load_literal", "ldr r0, 7f" + _FREE, "load_literal"),
    Bench("store_alone", "str r0, [r2, #4]" + _FREE, "store"),
    Bench("store_indexed", "str r0, [r2, r3]" + _FREE, "store_indexed"),
    Bench("store_behind_load", "ldr r0, [r1]; str r0, [r2, #4]"),
    Bench("stores", "str r0, [r2, #4]; str r4, [r2, #8]"),
    Bench("load_four", "ldm.w r2, {r0, r4, r5, r6}; adds r3, r3, r7", "per_word", _V7, minus="load_two"),
    Bench("load_two", "ldm.w r2, {r0, r4}; adds r3, r3, r7", "multiple", _V7),
    Bench("load_four_narrow", "ldmia r2!, {r0, r4, r5, r6}; subs r2, #16; adds r3, r3, r7", "per_word", _NARROW,
          minus="load_two_narrow"),
    Bench("load_two_narrow", "ldmia r2!, {r0, r4}; subs r2, #8; adds r3, r3, r7", "multiple", _NARROW),
    Bench("push_pop", "push {r0, r3-r6}; pop {r0, r3-r6}"),
    Bench("pair_of_words", "ldrd r0, r5, [r2]; strd r0, r5, [r2, #8]", isas=_V7),
    Bench("address_made", "adds r6, r1, #0; ldr r0, [r6]" + _FREE, "address_stall"),
    Bench("multiply", "muls r0, r3, r0", "multiply", _NARROW),
    Bench("multiply_free", "mul r0, r3, r4", "multiply", _V7),
    Bench("multiply_chain", "mul r0, r0, r4", "multiply_use", _V7),
    Bench("mla", "mla r0, r3, r4, r0", "multiply_accumulate", _V7),
    Bench("smull_small", "smull r0, r6, r4, r5", "multiply_long", _V7, operands=_SMALL),
    Bench("smull_large", "smull r0, r6, r4, r5", "multiply_long", _V7, operands=_LARGE),
    Bench("smlal_small", "smlal r0, r6, r4, r5", "multiply_accumulate_long", _V7, operands=_SMALL),
    Bench("smlal_large", "smlal r0, r6, r4, r5", "multiply_accumulate_long", _V7, operands=_LARGE),
    Bench("smlad", "smlad r0, r3, r4, r0; smlad r6, r3, r4, r6", isas=_DSP),
    Bench("widen", "sxtb16 r0, r4; sxtb16 r6, r4, ror #8; ssat r5, #8, r4", isas=_DSP),
    Bench("sdiv_small", "sdiv r0, r4, r5", "divide", _V7, operands=_SMALL),
    Bench("sdiv_large", "sdiv r0, r4, r5", "divide", _V7, operands=_QUOTIENT),
    Bench("udiv_small", "udiv r0, r4, r5", "divide", _V7, operands=_SMALL),
    Bench("udiv_large", "udiv r0, r4, r5", "divide", _V7, operands=_QUOTIENT),
    Bench("it_folded", "mov r5, r3; it eq; moveq r0, r3", "if_then", _V7),
    Bench("it_wide", "mov.w r5, r3; it eq; moveq r0, r3", "if_then", _V7),
    Bench("branch_aligned", "b.n 1f; nop; 1:", "refill"),
    Bench("branch_unaligned", "b.n 1f; 1: nop", "refill"),
    Bench("branch_to_wide", "b.n 1f; 1: add.w r0, r3, r4; nop", "refill", _V7),
    Bench("branch_equal", "beq.n 1f; nop; 1:"),
    Bench("branch_not_taken", "bne.n 1f; nop; 1:", taken=0.0),
    Bench("compare_and_branch", "cbz r0, 1f; nop; 1:", isas=_V7, head="movs r0, #0"),
    Bench("call", "bl 1f; 1:", "refill_call"),
    Bench("jump_register", "mov r0, pc; adds r0, #3; bx r0", "refill_register"),
    Bench("pop_pc", "mov r0, pc; adds r0, #5; push {r0}; pop {pc}", "refill_load"),
    Bench("branch_random", "lsls r5, r5, #1; bcs.n 1f; 1: nop", "mispredict", taken=0.5, head=_RANDOM),
    Bench("loop_end", "movs r0, #4; dls lr, r0; 1: adds r5, r5, r3; le lr, 1b", "loop_end", _MVE, turns=4),
    Bench("vector_pair", "vadd.i32 q0, q1, q2; vadd.i32 q3, q1, q2", "vector", _MVE),
    Bench("vector_loads", "vldrb.u8 q0, [r1]; vldrb.u8 q1, [r2]", isas=_MVE),
    Bench("vector_load_add", "vldrb.u8 q0, [r1]; vadd.i32 q3, q1, q2", isas=_MVE),
    Bench("vector_load_product", "vldrb.u8 q0, [r1]; vmladava.s8 r6, q1, q2", isas=_MVE),
    Bench("vector_chain", "vldrw.u32 q0, [r1]; vadd.i32 q0, q0, q1; vmul.i32 q0, q0, q2; vstrw.32 q0, [r2]", isas=_MVE),
    Bench("dot_bytes", "ldrsb r0, [r1, r3]; ldrsb r5, [r2, r3]; muls r0, r5, r0; adds r6, r6, r0", mix=True),
    Bench("dot_mla", "ldrsb r0, [r1, #1]; ldrsb r5, [r2, #1]; mla r6, r0, r5, r6", isas=_V7, mix=True),
    Bench("dot_words", "ldr r0, [r1, #4]; ldr r5, [r2, #4]; sxtb16 r8, r0; sxtb16 r9, r5; sxtb16 r0, r0, ror #8; "
          "sxtb16 r5, r5, ror #8; smlad r6, r8, r9, r6; smlad r6, r0, r5, r6", isas=_DSP, mix=True),
    Bench("dot_vectors", "vldrb.u8 q0, [r1]; vldrb.u8 q1, [r2]; vmladava.s8 r6, q0, q1", isas=_MVE, mix=True),
    Bench("copy_words", "ldmia r1!, {r0, r5}; stmia r2!, {r0, r5}; subs r1, #8; subs r2, #8", mix=True),
    Bench("code_walk", "nop.w", isas=_V7, copies=1024, walks=True),
    Bench("code_walk_narrow", "nop", isas=_NARROW, copies=1024, walks=True),
)


def benches(isa: str) -> tuple[Bench, ...]:
    """Those whose instructions a core has. isa: one of board.ISAS."""
    return tuple(bench for bench in _BENCHES if isa in bench.isas)
