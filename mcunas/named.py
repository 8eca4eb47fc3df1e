# SPDX-License-Identifier: Apache-2.0
"""A user's own Python by name: "my_module:function", found from the folder that the command was started in too."""
from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from mcunas.errors import InputError, did_you_mean


def call_named(name: str) -> Any:
    """What `module:function` returns when it is called without arguments. Raises InputError for anything it raises."""
    return _found(name, "a function without arguments", lambda module, function: getattr(module, function)())


def module_named(name: str) -> ModuleType:
    """The module of `module:function`, which has such a function. Raises InputError for anything that its import raises."""
    return _found(name, "the function of a module", lambda module, function: module)


def _found(name: str, what: str, take: Callable[[ModuleType, str], Any]) -> Any:
    module, _, function = name.partition(":")
    if module.endswith(".py"):
        raise InputError("a module goes by its name, not by its file's", where=name, fix=f"give {module[:-3]}:{function}")
    here, fix = str(Path.cwd()), f"give it as module:function, {what}"
    sys.path.insert(0, here)            # first, as for a script
    try:
        found = import_module(module)
        if not hasattr(found, function):
            own = [n for n, v in vars(found).items() if callable(v) and getattr(v, "__module__", "") == found.__name__]
            raise InputError(f"{module} has no {function!r}", where=name, fix=did_you_mean(function, own) if own else fix)
        return take(found, function)
    except InputError:
        raise
    except Exception as error:          # the user's own code: its message is the best there is
        raise InputError(f"{type(error).__name__}: {error}", where=name, fix=fix) from error
    finally:
        sys.path.remove(here)
        if module in sys.modules and here not in sys.path:
            sys.path.append(here)       # processes that are started from here on get the user's classes, too
