# SPDX-License-Identifier: Apache-2.0
"""Changes to JSON and TOML that keep most of their form, which flipped bytes hardly ever do."""
from __future__ import annotations

import re
from collections.abc import Iterable
from random import Random

_TOKEN = re.compile(rb'"[^"\n]*"|[-+]?[0-9][\w.+-]*|[A-Za-z_][\w.-]*')
_NASTY = (b"0", b"-1", b"1", b"2", b"255", b"65536", b"4294967295", b"4294967296", b"9" * 30, b"1e999", b"-0.0", b"1.5",
          b"nan", b"inf", b"-inf", b"NaN", b"Infinity", b"true", b"false", b"null", b'""', b'"x"', b'"../../x"',
          b'"$(touch x)"', b'"a\\nb"', b'"\xc3\xa9"', b"[]", b"{}", b"[[]]", b"[1, 2, 3]", b"0x20000000", b"1_000",
          b"1979-05-27T07:32:00Z")


def changed(data: bytes, most_bytes: int, seed: int) -> bytes:
    """A token replaced, a line taken out or repeated, two tokens exchanged; the same for the same seed."""
    random, kind = Random(seed), seed % 4
    tokens = list(_TOKEN.finditer(data))
    if kind < 2 and tokens:
        one = random.choice(tokens)
        by = random.choice(_NASTY) if random.random() < 0.7 else random.choice(tokens)[0]
        data = data[:one.start()] + by + data[one.end():]
    elif kind == 2 and len(tokens) > 1:
        one, other = sorted(random.sample(tokens, 2), key=lambda token: token.start())
        data = data[:one.start()] + other[0] + data[one.end():other.start()] + one[0] + data[other.end():]
    else:
        lines = data.splitlines(keepends=True)
        if lines:
            at = random.randrange(len(lines))
            lines[at:at + 1] = random.choice(([], [lines[at]] * 2, [lines[at], random.choice(lines)]))
        data = b"".join(lines)
    return data[:most_bytes]


def words_of(texts: Iterable[bytes]) -> tuple[bytes, ...]:
    """The tokens in `texts`, each once."""
    return tuple(sorted({token[0] for text in texts for token in _TOKEN.finditer(text)}))
