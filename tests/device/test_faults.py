# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on the target is said, on every core: faults with function and line, overflows, high-water marks."""
from __future__ import annotations

import pytest

from mcunas.board import Board
from mcunas.device.link import DeviceError, TargetFault
from tests.device.stubs import ARENA_BYTES, stub
from tests.device.target import booted, seeded

EVERY_CORE = pytest.mark.parametrize("key", Board.cores())
ON_V6M = ("microbit", "mps2-an385-m0plus")
NOINLINE = "__attribute__((noinline)) static "
RECURSION = NOINLINE + ("uint32_t deep(uint32_t n) { volatile uint8_t x[40]; x[n % 40u] = (uint8_t)n; "
                        "return n ? deep(n - 1u) + x[3] : 0u; }")


@EVERY_CORE
def test_a_fault_names_function_line_and_registers(key: str) -> None:
    crash = NOINLINE + "void crash(void) { *(volatile uint32_t *)0xE8000000u; }"
    with booted(stub("(void)arena; crash();", crash), key) as link:
        seeded(link)
        with pytest.raises(TargetFault, match=r"HardFault.*PC 0x\w{8} crash \(model.c:2\)") as raised:
            link.infer()
    fault = raised.value
    assert fault.location == "crash (model.c:2)" and not fault.is_stack_overflow
    if key not in ON_V6M:
        assert fault.registers["cfsr"] == 0x8200 and fault.registers["bfar"] == 0xE8000000
        assert "precise data bus error" in str(fault)


@EVERY_CORE
def test_an_undefined_instruction_is_a_fault(key: str) -> None:
    with booted(stub('(void)arena; __asm volatile("udf #0");'), key) as link:
        seeded(link)
        with pytest.raises(TargetFault) as raised:
            link.infer()
    assert "undefined instruction" in str(raised.value) or key in ON_V6M


@EVERY_CORE
def test_unaligned_accesses_fault_where_the_core_has_none(key: str) -> None:
    load = NOINLINE + ('uint32_t load(volatile uint8_t *p) { uint32_t x; '
                       '__asm volatile("ldr %0, [%1]" : "=r"(x) : "r"(p)); return x; }')
    with booted(stub("arena[0] = (uint8_t)load(arena + 1);", load), key) as link:
        seeded(link)
        if key in ON_V6M:
            with pytest.raises(TargetFault, match="load"):
                link.infer()
        else:
            link.infer()


@EVERY_CORE
def test_endless_recursion_is_a_stack_overflow(key: str) -> None:
    with booted(stub("arena[0] = (uint8_t)deep(100000u);", RECURSION), key) as link:
        seeded(link)
        with pytest.raises(TargetFault, match="stack overflow") as raised:
            link.infer()
    assert raised.value.is_stack_overflow


@EVERY_CORE
def test_a_touched_stack_guard_is_reported(key: str) -> None:
    with booted(stub("arena[0] = 1; _stack_bottom[9] = 1;", "extern uint8_t _stack_bottom[];"), key) as link:
        seeded(link)
        for _ in range(2):
            with pytest.raises(DeviceError, match="Stack overflow"):
                link.infer()


@EVERY_CORE
def test_a_byte_behind_the_arena_is_reported(key: str) -> None:
    with booted(stub(f"arena[{ARENA_BYTES + 5}] = 0xA5;"), key) as link:
        seeded(link)
        for command in ("infer 1", "mem", "mem"):
            with pytest.raises(DeviceError, match="Arena overflow"):
                link.command(command)


@EVERY_CORE
def test_the_high_water_mark_is_the_last_byte_touched(key: str) -> None:
    """Also when that byte is written with the very pattern the arena is painted with."""
    for value in ("0xA5", "0x5A", "0"):
        body = f"for (uint32_t i = 0; i < 4u; i++) arena[i] = 0;\narena[199] = {value};"
        with booted(stub(body), key) as link:
            seeded(link)
            memory = link.memory()
            assert (memory.arena, memory.arena_used) == (ARENA_BYTES, 200)
        if key != "mps2-an386":
            return


@EVERY_CORE
def test_the_stack_mark_follows_the_model(key: str) -> None:
    def used(depth: int) -> int:
        with booted(stub(f"arena[0] = (uint8_t)deep({depth}u);", RECURSION), key) as link:
            seeded(link)
            memory = link.memory()
            assert memory.stack == Board.load(key).reserve.stack
            return memory.stack_used

    assert 8 * 48 <= used(10) - used(2) <= 8 * 80
