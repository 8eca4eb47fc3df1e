# SPDX-License-Identifier: Apache-2.0
"""The start-up sequences of the reference manuals: per family what the chip answers, and the writes in their order.

A step is (register, bits that matter, their value); the source is named in firmware/platform/<family>/chip.c. Dividers
are written down as numbers, and not computed from the board file, on purpose.
"""
from __future__ import annotations

from tests.boards.chip_model import Answer

Step = tuple[int, int, int]


def on(register: int, bit: int, ready: int, answer: int | None = None) -> Answer:
    return Answer(register, 1 << bit, register if answer is None else answer, 1 << ready)


_F4 = 0x40023800
F4_ANSWERS = (on(_F4, 16, 17), on(_F4, 24, 25), on(0x40007000, 16, 16, 0x40007004), on(0x40007000, 17, 17, 0x40007004),
              Answer(_F4 + 8, 2, _F4 + 8, 2 << 2, 3 << 2))
_H7, _L4, _U5, _G0, _F1 = 0x58024400, 0x40021000, 0x46020C00, 0x40021000, 0x40021000
_RP1, _RP2 = ((0x40024000, 0x4000C000, 0x40028000, 0x40008000), (0x40048000, 0x40020000, 0x40050000, 0x40010000))


def _rp_answers(xosc: int, resets: int, pll: int, clocks: int) -> tuple[Answer, ...]:
    return (Answer(xosc, 0xFAB << 12, xosc + 4, 1 << 31), Answer(resets, 0, resets + 8, 0xFFFFFFFF),
            Answer(pll + 4, 0, pll, 1 << 31), Answer(clocks + 0x30, 2, clocks + 0x38, 4),
            Answer(clocks + 0x3C, 1, clocks + 0x44, 2))


ANSWERS: dict[str, tuple[Answer, ...]] = {
    "stm32f1": (on(_F1, 16, 17), on(_F1, 24, 25), Answer(_F1 + 4, 2, _F1 + 4, 2 << 2)),
    "stm32f4": F4_ANSWERS,
    "stm32f7": F4_ANSWERS,
    "stm32h7": (on(_H7, 16, 17), on(_H7, 24, 25), Answer(_H7 + 0x10, 3, _H7 + 0x10, 3 << 3),
                Answer(0x5802480C, 2, 0x58024804, 1 << 13), Answer(0x58024818, 3 << 14, 0x58024818, 1 << 13)),
    "stm32l4": (on(_L4, 8, 10), on(_L4, 24, 25), Answer(_L4 + 8, 3, _L4 + 8, 3 << 2)),
    "stm32u5": (on(_U5, 8, 10), on(_U5, 24, 25), Answer(_U5 + 0x1C, 3, _U5 + 0x1C, 3 << 2),
                Answer(0x4602080C, 3 << 16, 0x4602080C, 1 << 15), on(0x4602080C, 18, 14)),
    "stm32g0": (on(_G0, 24, 25), Answer(_G0 + 8, 2, _G0 + 8, 2 << 3)),
    "lm3s": (Answer(0x400FE060, 1 << 22, 0x400FE050, 1 << 6),),
    "rp2040": _rp_answers(*_RP1),
    "rp2350": _rp_answers(*_RP2),
    "nrf51": (Answer(0x40000000, 1, 0x40000100, 1),),
    "nrf52": (Answer(0x40000000, 1, 0x40000100, 1),),
    "nrf53": (Answer(0x50005000, 1, 0x50005100, 1),),
}
# After reset, where it is not 0 and matters.
RESET: dict[str, dict[int, int]] = {
    "stm32h7": {0x5C001000: 0x20036450, 0x5802480C: 6},
    "stm32l4": {0x40007080: 1 << 8},
    "lm3s": {0x400FE060: 0x078E3AD1},
    "nrf53": {0x50005558: 1},
    "rp2040": {0x4000C000: 0x01FFFFFF, 0x40028004: 0x2D},
    "rp2350": {0x40020000: 0x1FFFFFFF, 0x40050004: 0x2D},
}
# MHz where no oscillator but the one of reset starts.
RESET_MHZ = {"stm32f1": 8, "stm32f4": 16, "stm32f7": 16, "stm32h7": 64, "stm32l4": 4, "stm32u5": 4, "stm32g0": 16,
             "lm3s": 8}


def _f4(acr: int, pllcfgr: int, cfgr: int, source: tuple[Step, ...], overdrive: bool, vos: int) -> tuple[Step, ...]:
    drive: tuple[Step, ...] = ((0x40007000, 1 << 16, 1 << 16), (0x40007000, 1 << 17, 1 << 17)) if overdrive else ()
    return ((_F4 + 0x40, 1 << 28, 1 << 28), (0x40007000, 3 << 14, vos << 14), *source, (_F4 + 4, 0x0F437FFF, pllcfgr),
            (_F4, 1 << 24, 1 << 24), *drive, (0x40023C00, 0x70F, acr), (_F4 + 8, 0xFFF0, cfgr), (_F4 + 8, 3, 2))


_BYPASS: tuple[Step, ...] = ((_F4, 1 << 18 | 1 << 16, 1 << 18), (_F4, 1 << 16, 1 << 16))
_CRYSTAL: tuple[Step, ...] = ((_F4, 1 << 18 | 1 << 16, 1 << 16),)
_SLOWER = 5 << 10 | 4 << 13                         # APB1 a quarter, APB2 half


def _rp(base: tuple[int, int, int, int], prim: int, pll_reset: int) -> tuple[Step, ...]:
    xosc, resets, pll, clocks = base
    return ((xosc, 0xFFFFFF, 0xFABAA0), (clocks + 0x30, 3, 2), (resets + 0x3000, 0xFFFFFFFF, pll_reset),
            (pll, 0x3F, 1), (pll + 8, 0xFFF, 125), (pll + 0x3004, 0xFFFFFFFF, 0x21), (pll + 12, 0x77000, prim),
            (pll + 0x3004, 0xFFFFFFFF, 0x08), (clocks + 0x3C, 0xE1, 1), (clocks + 0x48, 0x8E0, 0x880))


SEQUENCES: dict[str, tuple[Step, ...]] = {
    "stm32vldiscovery": ((_F1, 1 << 16, 1 << 16), (_F1 + 4, 0x3F0000, 1 << 18 | 1 << 16), (_F1, 1 << 24, 1 << 24),
                         (_F1 + 4, 3, 2)),
    "netduinoplus2": _f4(0x705, 8 << 24 | 1 << 22 | 336 << 6 | 25, _SLOWER, _CRYSTAL, False, 1),
    "nucleo-f446re": _f4(0x705, 8 << 24 | 1 << 22 | 180 << 6 | 4, _SLOWER, _BYPASS, True, 3),
    "nucleo-f411re": _f4(0x703, 8 << 24 | 1 << 22 | 100 << 6 | 4, 4 << 10, _BYPASS, False, 3),
    "nucleo-f767zi": _f4(0x107, 9 << 24 | 1 << 22 | 216 << 6 | 4, _SLOWER, _BYPASS, True, 3),
    "stm32f746g-disco": _f4(0x107, 9 << 24 | 1 << 22 | 432 << 6 | 25, _SLOWER, _CRYSTAL, True, 3),
    "nucleo-h743zi2": ((0x5802480C, 7, 2), (0x58024818, 3 << 14, 3 << 14), (_H7 + 0xF4, 2, 2), (0x5800042C, 1, 1),
                       (_H7, 1 << 18 | 1 << 16, 1 << 18), (_H7, 1 << 16, 1 << 16), (_H7 + 0x28, 0x3F3, 2 << 4 | 2),
                       (_H7 + 0x2C, 0x1000F, 1 << 16 | 2 << 2), (_H7 + 0x30, 0xFFFF, 1 << 9 | 239),
                       (_H7, 1 << 24, 1 << 24),
                       (0x52002000, 0x3F, 2 << 4 | 4), (_H7 + 0x18, 0xF7F, 0x48), (_H7 + 0x1C, 0x770, 0x440),
                       (_H7 + 0x20, 0x70, 0x40), (_H7 + 0x10, 7, 3)),
    "nucleo-l4r5zi": ((_L4, 1 << 8, 1 << 8), (0x40007000, 3 << 9, 1 << 9), (0x40007080, 1 << 8, 0),
                      (_L4 + 12, 0x07007FF3, 1 << 24 | 60 << 8 | 3 << 4 | 2), (_L4, 1 << 24, 1 << 24),
                      (0x40022000, 0x70F, 0x705),
                      (_L4 + 8, 0xF0, 0x80), (_L4 + 8, 3, 3), (_L4 + 8, 0xF0, 0), (0x40007004, 1 << 9, 1 << 9)),
    "b-l475e-iot01a": ((_L4, 1 << 8, 1 << 8), (0x40007000, 3 << 9, 1 << 9),
                       (_L4 + 12, 0x07007F73, 1 << 24 | 40 << 8 | 3 << 4 | 2), (_L4, 1 << 24, 1 << 24),
                       (0x40022000, 0x70F, 0x704),
                       (_L4 + 8, 3, 3)),
    "nucleo-u575zi-q": ((_U5, 1 << 8, 1 << 8), (_U5 + 0x94, 4, 4), (_U5 + 0x28, 0x4FF0F, 1 << 18 | 3 << 2 | 2),
                        (0x4602080C, 7 << 16, 3 << 16), (0x4602080C, 7 << 16, 7 << 16), (0x40022000, 0x10F, 0x104),
                        (_U5 + 0x34, 0x7F0001FF, 1 << 24 | 19), (_U5, 1 << 24, 1 << 24), (_U5 + 0x1C, 3, 3),
                        (0x40030400, 1, 1)),
    "nucleo-g0b1re": ((_G0 + 12, 0xF0007F73, 1 << 29 | 1 << 28 | 8 << 8 | 2), (_G0, 1 << 24, 1 << 24),
                      (0x40022000, 0x40307, 0x40302),
                      (_G0 + 8, 7, 2)),
    "lm3s6965evb": ((0x400FE060, 1 << 11 | 1 << 22, 1 << 11),
                    (0x400FE060, 0x07C03BF0, 3 << 23 | 1 << 22 | 1 << 11 | 14 << 6),
                    (0x400FE060, 1 << 11 | 1 << 22, 1 << 22), (0x400FE100, 8, 8)),
    "pico": (*_rp(_RP1, 6 << 16 | 2 << 12, 1 << 12), (0x4005802C, 0x3FF, 1 << 9 | 12),
             (0x40014004, 31, 2), (0x4001400C, 31, 2)),
    "pico2": (*_rp(_RP2, 5 << 16 | 2 << 12, 1 << 14), (0x40038004, 1 << 8, 0)),
    "microbit": ((0x40000000, 1, 1),),
    "microbit-v2": ((0x4001E540, 1, 1), (0x40000000, 1, 1)),
    "nrf52840-dk": ((0x4001E540, 1, 1), (0x40000000, 1, 1)),
    "nano33ble-sense": ((0x4001E540, 1, 1), (0x40000000, 1, 1)),
    "nrf5340-dk": ((0x50001500, 1, 1), (0x50005558, 3, 0), (0x50005000, 1, 1)),
}
