# SPDX-License-Identifier: Apache-2.0
"""The ``mcunas`` command: verbs in ``verbs_*.py``, and here the one place where an error becomes a line and a status.

Exit status: 0 it fits and matches; 1 a check failed or it does not fit; 2 bad input; 70 a defect of mcunas itself;
130 interrupted. Errors are one line on stderr (``error: where: what; fix``); ``--debug`` shows the trace instead.
"""
from __future__ import annotations

import os
import sys

import typer

from mcunas.cli.app import app
from mcunas.errors import McunasError

INTERNAL_ERROR = 70     # sysexits.h EX_SOFTWARE: neither the input nor a check is at fault
INTERRUPTED = 130
LONGEST_LINE = 600


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave through SystemExit. ``--debug`` may stand anywhere."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    try:
        status = app(args=[a for a in arguments if a != "--debug"], prog_name="mcunas", standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        status = _complain("interrupted", INTERRUPTED)
    except BrokenPipeError:         # the reader of our output (head, less) has gone: nothing to say, nobody to hear it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except Exception as error:
        if debug:
            raise
        status = _complain(*explain(error))
    sys.exit(status)


def explain(error: Exception) -> tuple[str, int]:
    """One line and the exit status for any exception."""
    if isinstance(error, McunasError):
        return str(error), error.exit_code
    if isinstance(error, typer.TyperException):
        return f"command line: {error.format_message().rstrip('.')}; see mcunas --help", 2
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'system'}: {error.strerror}; check the path, its permissions and the free space", 2
    what = f"{type(error).__name__}: {error}"
    return f"internal: {what}; this is a defect of mcunas, please report it with the output of --debug", INTERNAL_ERROR


def _complain(line: str, status: int) -> int:
    # Names come from the model's file: no control characters reach the terminal, and no name fills the screen.
    printable = "".join(c if c.isprintable() else "?" for c in " ".join(line.split()))
    ending = "…" if len(printable) > LONGEST_LINE else ""
    print(f"error: {printable[:LONGEST_LINE]}{ending}", file=sys.stderr)
    return status
