# SPDX-License-Identifier: Apache-2.0
"""The ``mcunas`` command: verbs in ``verbs_*.py``, and here the one place where an error becomes a line and a status.

Exit status: 0 it fits and matches; 1 a check failed or it does not fit; 2 bad input; 70 a defect of mcunas itself;
130 interrupted. Errors are one line on stderr (``error: where: what; fix``); ``--debug`` shows the trace instead.
"""
from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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
    _fit_for_any_name()
    try:
        with _terminated_like_interrupted():
            status = app(args=[a for a in arguments if a != "--debug"], prog_name="mcunas", standalone_mode=False) or 0
            sys.stdout.flush()
            if status == INTERRUPTED:       # what typer makes of Ctrl-C
                raise KeyboardInterrupt
    except (KeyboardInterrupt, typer.Abort):
        status = _complain("interrupted", INTERRUPTED)
    except (BrokenPipeError, SystemExit) as leave:      # typer and rich leave with status 1 where a pipe breaks
        if isinstance(leave, SystemExit) and not isinstance(leave.__context__, BrokenPipeError):
            raise
        # The reader of our output (head, less) has gone: nothing to say, nobody to hear it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except Exception as error:
        if debug:
            raise
        status = _complain(*explain(error))
    sys.exit(status)


def _fit_for_any_name() -> None:
    """Output that never fails for a name's sake: what the terminal's encoding lacks becomes a question mark, and what is
    written where there is no output goes nowhere."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM (kill, timeout, a container that is stopped) ends a verb as Ctrl-C does, so that temporary folders go."""
    def interrupt(*unused: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
