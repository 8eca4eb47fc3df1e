# SPDX-License-Identifier: Apache-2.0
"""The rooms of the house stand on floors: a module imports from its own room and from rooms named before it."""
from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import mcunas

ROOMS = ("errors", "named", "paths", "atomic", "timing", "record",     # what every floor uses
         "graph", "board_parts", "board_checks", "board", "budget",
         "compiler",
         "cost",
         "convert", "tasks", "space", "prune", "quantize",
         "device", "search",
         "api", "report", "cli")
FACTS = {"__version__"}         # of the package itself, for whoever asks
# Programs that write boards/cost: they run on a core what the tables then price. Only tests import them.
PROGRAMS = {"cost/fit.py", "cost/fit_missing.py", "cost/measure_code.py", "cost/measure_missing.py"}
ROOT = Path(mcunas.__file__).parent


def imports(module: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of what a module imports from mcunas when it runs; names that only types need are left out."""
    pending: list[ast.AST] = [ast.parse(module.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending += node.orelse
            continue
        pending += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names if name.name.split(".")[0] == "mcunas")
        elif isinstance(node, ast.ImportFrom):
            package = (node.module or "").split(".")
            assert node.level == 0, f"{module}:{node.lineno} imports relatively"
            if package == ["mcunas"]:
                yield from ((node.lineno, f"mcunas.{name.name}") for name in node.names if name.name not in FACTS)
            elif package[0] == "mcunas":
                yield from ((node.lineno, f"{node.module}.{name.name}") for name in node.names)


def room(dotted: str) -> str:
    """The room of mcunas.<room>.more; a verb of the package (mcunas.search) is its room's."""
    return dotted.split(".")[1] if "." in dotted else ""


def modules() -> list[tuple[str, Path]]:
    """(room, module) of all but the package's own two files."""
    found = [path for path in sorted(ROOT.rglob("*.py")) if path.parent != ROOT or not path.name.startswith("__")]
    return [(path.relative_to(ROOT).parts[0].removesuffix(".py"), path) for path in found]


def test_every_module_has_a_room_and_imports_from_the_floors_below():
    wrong = []
    for own, module in modules():
        assert own in ROOMS, f"{module} stands in a room without a floor"
        path, below = module.relative_to(ROOT).as_posix(), ROOMS[:ROOMS.index(own) + 1]
        found = [] if path in PROGRAMS else imports(module)
        wrong += [f"{path}:{line} imports {name}" for line, name in found if room(name) not in (*below, "")]
    assert wrong == []


def test_programs_are_imported_by_programs_only():
    names = {"mcunas." + path.removesuffix(".py").replace("/", ".") for path in PROGRAMS}
    found = [(module, name) for _, module in modules() if module.relative_to(ROOT).as_posix() not in PROGRAMS
             for _, name in imports(module)]
    assert [(module, name) for module, name in found if any(f"{name}.".startswith(f"{one}.") for one in names)] == []


def test_the_scan_sees_imports_inside_functions_and_skips_those_of_types(tmp_path):
    (tmp_path / "m.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mcunas.cli import app\n"
                                   "else:\n    from mcunas import device\ndef f():\n    import mcunas.search.run\n")
    assert sorted(imports(tmp_path / "m.py")) == [(5, "mcunas.device"), (7, "mcunas.search.run")]
