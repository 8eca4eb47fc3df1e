# SPDX-License-Identifier: Apache-2.0
"""A user's own Python by name: "my_module:function", found from the folder that the command was started in too."""
from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from mcunas.errors import InputError


def call_named(name: str) -> Any:
    """What `module:function` returns when it is called without arguments. Raises InputError for anything it raises."""
    module, _, function = name.partition(":")
    here = str(Path.cwd())
    sys.path.append(here)
    try:
        return getattr(import_module(module), function)()
    except InputError:
        raise
    except Exception as error:          # the user's own code: its message is the best there is
        raise InputError(f"{type(error).__name__}: {error}", where=name,
                         fix="give it as module:function, a function without arguments") from error
    finally:
        sys.path.remove(here)
