# SPDX-License-Identifier: Apache-2.0
"""A user's own Python by name: "my_module:function", found from the folder that the command was started in too."""
from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from mcunas.errors import InputError, did_you_mean


def call_named(name: str) -> Any:
    """What `module:function` returns when it is called without arguments. Raises InputError for anything it raises."""
    module, _, function = name.partition(":")
    if module.endswith(".py"):
        raise InputError("a module goes by its name, not by its file's", where=name, fix=f"give {module[:-3]}:{function}")
    here, fix = str(Path.cwd()), "give it as module:function, a function without arguments"
    sys.path.insert(0, here)            # first, as for a script
    try:
        found = import_module(module)
        if not hasattr(found, function):
            own = [n for n, v in vars(found).items() if callable(v) and getattr(v, "__module__", "") == found.__name__]
            raise InputError(f"{module} has no {function!r}", where=name, fix=did_you_mean(function, own) if own else fix)
        return getattr(found, function)()
    except InputError:
        raise
    except Exception as error:          # the user's own code: its message is the best there is
        raise InputError(f"{type(error).__name__}: {error}", where=name, fix=fix) from error
    finally:
        sys.path.remove(here)
