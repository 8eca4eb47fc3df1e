# SPDX-License-Identifier: Apache-2.0
"""Coverage-guided fuzzing of all that reads bytes of others: `make fuzz`, or `python -m tests.fuzz.run`.

One target a file. A target has `seeds()`, valid inputs made by code, and `once(data)`, which raises nothing unless the
code under test does what it must not: any error but a McunasError of one line, or a result that is not what was read.
`graphs` stands apart: its inputs are networks, and what it looks at is the C that is made of them.
"""
