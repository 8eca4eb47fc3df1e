# SPDX-License-Identifier: Apache-2.0
"""The cycle model on snippets whose cycles the cores' manuals state, and on made-up counts."""
from __future__ import annotations

import pytest

from mcunas.board import Board
from mcunas.board_parts import Fetch
from mcunas.cost.cycles import Block, block_cycles, price
from mcunas.cost.thumb import CLASSES, Instruction
from mcunas.timing import Timing

CORES = {board.cpu: board.cycle_model.timing for board in map(Board.load, Board.cores())}


def code(text: str, size: int = 2) -> tuple[Instruction, ...]:
    """Instructions of `size` bytes from address 0, separated by ';'."""
    lines = [line.strip().partition(" ") for line in text.split(";")]
    return tuple(Instruction(i * size, size, mnemonic, operands) for i, (mnemonic, _, operands) in enumerate(lines))


# Arm DDI0337E 18.3 and 100166_0001 3.3 (M3, M4), DDI0484C table 3-1 (M0+), DDI0432C table 3-1 (M0)
@pytest.mark.parametrize(("core", "text", "cycles"), [
    ("cortex-m4", "ldr r0, [r1, #0]", 2),
    ("cortex-m4", "ldr r0, [r1, #0]; ldr r1, [r2, #0]", 3),
    ("cortex-m4", "ldr r0, [r1, r2]; str r0, [r3, #20]", 3),
    ("cortex-m4", "ldr r0, [r1, r5]; ldr r1, [r2, #0]; ldr r2, [r3, #4]", 4),
    ("cortex-m4", "ldr r0, [r1, #0]; ldr r1, [r0, #0]", 4),            # needs the first as an address: no overlap
    ("cortex-m4", "str r0, [r1, #4]", 1),
    ("cortex-m4", "ldmia.w r0!, {r1, r2, r3}", 4),
    ("cortex-m4", "stmdb sp!, {r4-r11}", 9),
    ("cortex-m4", "ldrd r0, r1, [r2, #8]", 3),
    ("cortex-m4", "push {r4, lr}", 3),
    ("cortex-m4", "adds r1, r1, #4; ldr r0, [r1, #0]", 4),             # the address comes from the instruction before
    ("cortex-m4", "smlad r0, r1, r2, r0; smlad r3, r1, r2, r3; smlal r0, r1, r2, r3; mla r0, r1, r2, r0", 4),
    ("cortex-m4", "sxtb16 r1, r0; mul r2, r1, r1; ssat r2, #8, r2; bne.n 100 <f>", 4),
    ("cortex-m3", "mla r0, r1, r2, r0", 2),
    ("cortex-m3", "muls r0, r1", 1),
    ("cortex-m3", "ldr r0, [r1, #0]; ldr r1, [r2, #0]", 3),
    ("cortex-m0plus", "ldr r0, [r1, #0]; ldr r1, [r2, #0]; str r0, [r1, #0]", 6),
    ("cortex-m0plus", "muls r0, r1; adds r0, r0, r2; sxtb r0, r0", 3),
    ("cortex-m0plus", "ldmia r0!, {r1, r2, r3, r4}", 5),
    ("cortex-m7", "add r0, r1, r2; add r3, r4, r5", 1),
    ("cortex-m7", "add r0, r1, r2; add r3, r0, r5", 2),                # needs the first
    ("cortex-m7", "smlad r0, r1, r2, r0; smlad r3, r1, r2, r3", 2),    # one multiplier
    ("cortex-m7", "ldr r0, [r1, #0]; adds r2, r0, r3", 3),             # the word may be used after two cycles
    ("cortex-m55", "vldrw.u32 q0, [r0]; vadd.i32 q0, q0, q1; vmul.i32 q0, q0, q2; vstrw.32 q0, [r1]", 5),
    ("cortex-m55", "vldrb.u8 q0, [r0], #16; vldrb.u8 q1, [r1], #16", 4),
])
def test_snippets_cost_what_the_manuals_say(core: str, text: str, cycles: float) -> None:
    assert block_cycles(code(text), CORES[core]) == cycles


@pytest.mark.parametrize(("core", "text", "cycles"), [
    ("cortex-m0plus", "b.n 100 <f>", 2), ("cortex-m0plus", "bl 100 <f>", 3), ("cortex-m0plus", "bx lr", 2),
    ("cortex-m0", "b.n 100 <f>", 3), ("cortex-m0", "bl 100 <f>", 4), ("cortex-m0", "bx lr", 3),
])
def test_a_taken_branch_refills_the_pipeline(core: str, text: str, cycles: float) -> None:
    found = price([Block(code(text), 10, 10)], CORES[core])
    assert found.typical == 10 * cycles == found.low == found.high


def test_a_branch_that_is_not_taken_costs_one_cycle() -> None:
    assert price([Block(code("bne.n 100 <f>"), 10, 0)], CORES["cortex-m4"]).typical == 10


def test_what_is_not_known_exactly_widens_the_bounds() -> None:
    found = price([Block(code("sdiv r0, r1, r2; bne.n 100 <f>"), 10, 4)], CORES["cortex-m4"])
    assert (found.low, found.typical, found.high) == (30 + 4, 80 + 8, 130 + 12)


def test_a_vector_loop_overlaps_with_its_next_turn() -> None:
    loop = code("vldrb.u8 q0, [r0], #16; vmladava.s8 r4, q0, q1; letp lr, 0 <f>")
    assert price([Block(loop, 100, 99)], CORES["cortex-m55"]).typical == 200


@pytest.mark.parametrize(("fetch", "cycles"), [
    (None, 800), (Fetch(5, 8), 800 + 5 * (10 + 20 + 30)), (Fetch(5, 8, prefetch=True), 800 + 5 * (10 + 30) + 1 * 20),
    (Fetch(3, 8, prefetch=True), 800 + 3 * (10 + 30)),
])
def test_lines_of_flash_are_waited_for_unless_read_ahead(fetch: Fetch | None, cycles: float) -> None:
    eight = code("; ".join(["add r0, r1, r2"] * 8))     # 16 bytes: a line is executed in four cycles
    found = price([Block(eight, 100, 0, jump_lines=10, next_lines=20, data_lines=30)], CORES["cortex-m4"], fetch)
    assert found.typical == cycles


OF_CLASS = {
    "load": "ldrsb.w r0, [r1], #1; pop {r4, pc}; vldrb.u8 q0, [r1], #16; ldrhi r0, [r1]; ldmia.w r0!, {r1, r2}",
    "store": "strd r0, r1, [sp]; vstrb.8 q0, [r0]; push {r4, lr}; strbne r0, [r1]; stmdb sp!, {r4, lr}",
    "widen": "sxtb16 r0, r1, ror #8; pkhbt r0, r1, r2, lsl #16; uxtab16 r0, r1, r2; vmovlb.s16 q0, q1; sxtble r0, r0",
    "mac": "smlad r0, r1, r2, r3; smuad r0, r1, r2; mlane r0, r1, r2, r3; muls r0, r1; smmlar r0, r1, r2, r3; "
           "smlabb r0, r1, r2, r3; vmlava.s8 r0, q0, q1; vmullb.s8 q0, q1, q2; vqdmulh.s32 q0, q1, q2; umull r0, r1, r2, r3",
    "alu": "movs r0, r1; lsls r0, r1, #2; bics r0, r1; bfi r0, r1, #2, #3; vadd.i32 q0, q1, q2; ssat r0, #8, r1; "
           "sdiv r0, r1, r2; vctp.8 r0",
    "branch": "bls.n 100 <f>; bl 100 <f>; blt.w 100 <f>; cbnz r0, 100 <f>; letp lr, 100 <f>; dlstp.8 lr, r0; bx lr; blx r3",
    "other": "itte ne; vpst ; nop ; nop.w ",
}


@pytest.mark.parametrize("class_", CLASSES)
def test_instructions_are_sorted_into_classes(class_: str) -> None:
    assert {one.mnemonic: one.class_ for one in code(OF_CLASS[class_])} == {
        one.mnemonic: class_ for one in code(OF_CLASS[class_])}


@pytest.mark.parametrize(("text", "reads", "writes"), [
    ("ldr r0, [r1, r2, lsl #2]", {"r1", "r2"}, {"r0"}),
    ("ldr.w r0, [r1], #4", {"r1"}, {"r0", "r1"}),
    ("ldrd r0, r1, [r2, #8]!", {"r2"}, {"r0", "r1", "r2"}),
    ("str r0, [r1, #4]", {"r0", "r1"}, set()),
    ("smlad r0, r1, r2, r3", {"r1", "r2", "r3"}, {"r0"}),
    ("smlal r0, r1, r2, r3", {"r0", "r1", "r2", "r3"}, {"r0", "r1"}),
    ("umull r0, r1, r2, r3", {"r2", "r3"}, {"r0", "r1"}),
    ("adds r0, r1", {"r0", "r1"}, {"r0"}),
    ("mov r0, r1", {"r1"}, {"r0"}),
    ("cmp r0, r1", {"r0", "r1"}, set()),
    ("bics r0, r1, r2", {"r1", "r2"}, {"r0"}),
    ("vmlava.s8 r0, q0, q1", {"r0", "q0", "q1"}, {"r0"}),
    ("vadd.i32 q0, q1, q2", {"q1", "q2"}, {"q0"}),
])
def test_registers_that_an_instruction_reads_and_writes(text: str, reads: set[str], writes: set[str]) -> None:
    one = code(text)[0]
    assert (one.reads, one.writes) == (reads, writes)


@pytest.mark.parametrize("core", CORES)
def test_timings_are_ordered_and_the_bounds_hold_the_typical_price(core: str) -> None:
    timing: Timing = CORES[core]
    for figure in vars(timing).values():
        assert isinstance(figure, str) or (len(figure) in (1, 3) and list(figure) == sorted(figure) and figure[0] >= 0)
    mixed = code("ldr r0, [r1, #0]; mla r0, r1, r2, r0; strb r0, [r3, #0]; sdiv r0, r1, r0; pop {r4, pc}")
    found = price([Block(mixed, 3, 3)], timing)
    assert 0 < found.low <= found.typical <= found.high
