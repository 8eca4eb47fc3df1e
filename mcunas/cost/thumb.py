# SPDX-License-Identifier: Apache-2.0
"""One disassembled Thumb instruction: what class it belongs to, which registers it reads and writes.

Made from the text that arm-none-eabi-objdump prints (unified syntax). Only what prices need is told apart; an
instruction that is not listed counts as arithmetic that writes its first operand.
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

CLASSES = ("load", "store", "widen", "mac", "alu", "branch", "other")

_CONDITION = "(?:eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|al)?"
_PATTERNS = {       # in this order: the first that fits the mnemonic (without .n, .w and data types) names its kind
    "other": rf"it[te]{{0,3}}|nop{_CONDITION}|vpst[te]*|vpt[te]*|dsb|isb|dmb|cps\w*|msr|mrs|vmsr|vmrs|svc|bkpt|udf|wf[ie]",
    "loop": r"le|letp",
    "loop_start": r"dls|dlstp|wls|wlstp",
    "load_vector": r"vldr[bhwd][te]?|vld[24][0-3]",
    "store_vector": r"vstr[bhwd][te]?|vst[24][0-3]",
    "load_multiple": rf"(?:pop|ldm\w*|vldm\w*|vpop){_CONDITION}",
    "store_multiple": rf"(?:push|stm\w*|vstm\w*|vpush){_CONDITION}",
    "load_pair": rf"ldrd{_CONDITION}",
    "store_pair": rf"strd{_CONDITION}",
    "load_narrow": rf"ldrs?[bh]t?{_CONDITION}",
    "load": rf"ldrt?{_CONDITION}|vldr{_CONDITION}|ldrex\w*",
    "store": rf"str[bh]?t?{_CONDITION}|vstr{_CONDITION}|strex\w*",
    "branch_call": rf"bl{_CONDITION}",
    "branch_register": rf"blx?{_CONDITION}|bxn?s?{_CONDITION}|tb[bh]|blxns",
    "branch": rf"b{_CONDITION}|cbn?z",
    "widen": rf"[su]xta?(?:b16|[bh]){_CONDITION}|pkh(?:bt|tb){_CONDITION}",
    "widen_vector": r"vmovl[bt]",
    "divide": rf"[su]div{_CONDITION}",
    "mac_vector": r"vr?ml[as]\w*|vr?mul\w*|vqr?dm\w+|vfm[as]\w*",
    "mac_long": rf"[su]mlal\w*|smlsld\w*|umaal{_CONDITION}",
    "multiply_long": rf"[su]mulls?{_CONDITION}",
    "mac": rf"ml[as]{_CONDITION}|smla\w*|smls\w*|smml[as]\w*",
    "multiply": rf"muls?{_CONDITION}|smul\w*|smmulr?{_CONDITION}|smu[as]dx?{_CONDITION}",
}
_KINDS = {kind: re.compile(pattern) for kind, pattern in _PATTERNS.items()}
_CLASS = {"load_vector": "load", "load_multiple": "load", "load_pair": "load", "load_narrow": "load", "load": "load",
          "store_vector": "store", "store_multiple": "store", "store_pair": "store", "store": "store",
          "branch_call": "branch", "branch_register": "branch", "branch": "branch", "loop": "branch", "loop_start": "branch",
          "widen": "widen", "widen_vector": "widen", "mac_vector": "mac", "mac_long": "mac", "multiply_long": "mac",
          "mac": "mac", "multiply": "mac", "other": "other"}
_REGISTER = re.compile(r"\b(r\d+|sl|fp|ip|sp|lr|pc|[qsd]\d+)\b")
_FIRST_TWO = re.compile(r"[su]mulls?|[su]mlal|smlsld|umaal|vr?mlaldav|vr?mlsldav|vaddlv|ldrd|asrl|lsll|lsrl|sqrshrl|uqrshll")
_COMPARES = re.compile(r"cmp|cmn|tst|teq|vcmp")
# What only names its result first; anything else with two operands (adds r0, r1) reads its first as well.
_PURE = re.compile(r"mov|mvn|neg|[su]xt[bh]|clz|rbit|rev|adr|v|ldr|cset|cinc")
_ACCUMULATES = re.compile(r"vr?ml|vqr?dml|vfm|vabav|vaddl?va|movt|bf[ic]|[su]mlal|smlsld|umaal|vq?r?shru?n|vqmovu?n|vs[lr]i"
                          r"|vshlc")


@dataclass(frozen=True)
class Instruction:
    """address and size in bytes; mnemonic with its suffixes and operands as objdump prints them."""

    address: int
    size: int
    mnemonic: str
    operands: str

    @cached_property
    def stem(self) -> str:
        return self.mnemonic.partition(".")[0]

    @cached_property
    def kind(self) -> str:
        """A key of _PATTERNS, or "alu"."""
        if self.stem in ("vldr", "vstr") and "q" in self.operands.partition(",")[0]:
            return "load_vector" if self.stem == "vldr" else "store_vector"
        return next((kind for kind, pattern in _KINDS.items() if pattern.fullmatch(self.stem)), "alu")

    @property
    def class_(self) -> str:
        """One of CLASSES. mac: all multiplications, with and without accumulation."""
        return _CLASS.get(self.kind, "alu")

    @cached_property
    def is_vector(self) -> bool:
        """It works on a vector register (MVE)."""
        return self.kind.endswith("_vector") or re.search(r"\bq\d", self.operands) is not None

    @property
    def is_conditional(self) -> bool:
        return self.kind in ("branch", "loop") and self.stem != "b"

    @property
    def target(self) -> int | None:
        """Where a direct branch goes."""
        found = re.search(r"\b([0-9a-f]+) <", self.operands) if self.class_ == "branch" else None
        return int(found[1], 16) if found else None

    @cached_property
    def _operands(self) -> list[str]:
        """Operands at the top level: what stands in brackets stays together."""
        return [part.strip() for part in re.split(r",(?![^\[{]*[\]}])", self.operands.partition("@")[0])]

    @cached_property
    def address_registers(self) -> frozenset[str]:
        """Registers that make up the address of a memory access."""
        inside = re.search(r"\[([^\]]*)\]", self.operands) if self.class_ in ("load", "store") else None
        if inside:
            return frozenset(_REGISTER.findall(inside[1])) - {"pc"}
        base = self.kind in ("load_multiple", "store_multiple") and self.stem[:3] in ("ldm", "stm")
        return frozenset(_REGISTER.findall(self._operands[0])) if base else frozenset()

    @property
    def is_indexed(self) -> bool:
        """The address is the sum of two registers."""
        return len(self.address_registers) > 1

    @property
    def is_literal(self) -> bool:
        return "[pc" in self.operands

    @cached_property
    def transfers(self) -> int:
        """Registers moved to or from memory by a pair or multiple access, else 1."""
        braces = re.search(r"\{([^}]*)\}", self.operands)
        if self.kind.endswith("_pair"):
            return 2
        if not (braces and self.kind.endswith("_multiple")):
            return 1
        count = 0
        for part in braces[1].split(","):
            low, _, high = part.strip().partition("-")
            count += int(high[1:]) - int(low[1:]) + 1 if high else 1
        return count

    @property
    def _writes_none(self) -> bool:
        """No register, besides a base that a store moves."""
        return self.class_ in ("store", "branch", "other") or _COMPARES.match(self.stem) is not None

    @cached_property
    def writes(self) -> frozenset[str]:
        found: set[str] = set()
        if self.class_ == "load" and self.kind == "load_multiple":
            found.update(_REGISTER.findall(self.operands.partition("{")[2]))
        elif not self._writes_none:
            parts = 2 if _FIRST_TWO.match(self.stem) else 1
            found.update(r for text in self._operands[:parts] for r in _REGISTER.findall(text))
            if self.stem == "vmov" and len(self._operands) == 4 and self._operands[0][0] in "rsfil":
                found.update(_REGISTER.findall(self._operands[1]))
        if self.class_ in ("load", "store") and (self.operands.find("!") >= 0 or re.search(r"\],", self.operands)):
            found |= self.address_registers
        return frozenset(found)

    @cached_property
    def reads(self) -> frozenset[str]:
        registers = frozenset(r for text in self._operands for r in _REGISTER.findall(text))
        if self._writes_none:
            return registers
        parts = 2 if _FIRST_TWO.match(self.stem) else 1
        read = frozenset(r for text in self._operands[parts:] for r in _REGISTER.findall(text)) | self.address_registers
        if self.kind == "load_multiple":
            return self.address_registers
        two_operands = len(self._operands) == 2 and not _PURE.match(self.stem)
        if two_operands or _ACCUMULATES.match(self.stem):
            read |= frozenset(r for text in self._operands[:parts] for r in _REGISTER.findall(text))
        return read

    @cached_property
    def accumulators(self) -> frozenset[str]:
        """Of what it reads: the registers that a product is added to."""
        texts = {"mac": self._operands[3:4], "mac_long": self._operands[:2]}.get(self.kind, [])
        if self.kind == "mac_vector":
            texts = self._operands[:2 if _FIRST_TWO.match(self.stem) else 1]
        return frozenset(r for text in texts for r in _REGISTER.findall(text))
