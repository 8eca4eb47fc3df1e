# SPDX-License-Identifier: Apache-2.0
"""Channel sets: which channels must go together. Shared by the search on torch modules and on int8 Graphs."""
from __future__ import annotations

from dataclasses import dataclass, field

Segments = tuple[tuple[int, int], ...]      # (set, repeat): `repeat` consecutive entries per channel of the set


@dataclass
class Sets:
    """Union-find. reason: why a set is frozen, "" when it is free. modules: what carries its channels."""

    parent: list[int] = field(default_factory=list)
    width: list[int] = field(default_factory=list)
    reason: list[str] = field(default_factory=list)
    modules: list[list[str]] = field(default_factory=list)

    def new(self, width: int, reason: str = "") -> int:
        self.parent.append(len(self.parent))
        self.width.append(width)
        self.reason.append(reason)
        self.modules.append([])
        return len(self.parent) - 1

    def find(self, s: int) -> int:
        while self.parent[s] != s:
            s = self.parent[s]
        return s

    def join(self, a: int, b: int) -> None:
        a, b = sorted((self.find(a), self.find(b)))
        if a != b:
            self.parent[b] = a
            self.reason[a] = self.reason[a] or self.reason[b]
            self.modules[a] += self.modules[b]

    def freeze(self, segments: Segments, reason: str) -> None:
        for s, _ in segments:
            root = self.find(s)
            self.reason[root] = self.reason[root] or reason
