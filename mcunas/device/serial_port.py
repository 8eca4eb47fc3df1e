# SPDX-License-Identifier: Apache-2.0
"""A serial port as the byte stream under a Link: a board on a cable, or any other tty."""
from __future__ import annotations

import errno
import os
import select
import time
from types import TracebackType

import serial

from mcunas.errors import CheckFailed, InputError

_ANSWER_S = 3.0     # for a firmware that listens, to say so
_CHUNK_BYTES = 4096
_QUIET_S = 0.2      # nothing for so long: what was on its way has come
_BUSY = "another program has it open: end that first"
_FIXES = {errno.EAGAIN: _BUSY, errno.EBUSY: _BUSY, errno.EACCES: (
    "this user may not: join the port's group (on Debian: sudo usermod -aG dialout \"$USER\") and log in again")}


class SerialPort:
    """An open port, 8N1; a context manager. Raises InputError (no such port) and CheckFailed (the cable is gone)."""

    def __init__(self, port: str, baud: int) -> None:
        self._name = port
        try:
            self._serial = serial.Serial(port, baud, timeout=0, write_timeout=0, exclusive=True)
        except (OSError, ValueError) as error:
            reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
            number = error.errno if isinstance(error, OSError) else None
            fix = _FIXES.get(number or 0, "name the port that the board appears as, such as /dev/ttyACM0")
            raise InputError(f"the serial port cannot be opened ({reason})", port, fix) from None

    def read(self, timeout_s: float) -> bytes:
        """What has come, at least one byte; b"" when nothing comes in time."""
        try:
            ready = select.select([self._serial], [], [], timeout_s)[0]
            return self._serial.read(_CHUNK_BYTES) if ready else b""
        except OSError as error:
            raise self._lost(error) from None

    def write(self, data: bytes, timeout_s: float) -> None:
        """All of `data`. Raises CheckFailed when the port does not take it in time."""
        deadline = time.monotonic() + timeout_s
        view = memoryview(data)
        try:
            while view:
                if not select.select([], [self._serial], [], max(0.0, deadline - time.monotonic()))[1]:
                    raise CheckFailed(f"the port took {len(data) - len(view)} of {len(data)} bytes in {timeout_s:g} s",
                                      self._name)
                view = view[self._serial.write(view):]
        except OSError as error:
            raise self._lost(error) from None

    def settle(self) -> None:
        """End a command that was cut off, wait for the answer, and drop it with all else on its way. Raises CheckFailed."""
        self.write(b"%", 1.0)
        heard, deadline = b"", time.monotonic() + _ANSWER_S
        while b"m-ready" not in heard and time.monotonic() < deadline:
            heard += self.read(_QUIET_S)
        while self.read(_QUIET_S) and time.monotonic() < deadline:
            pass

    def close(self) -> None:
        self._serial.close()

    def __enter__(self) -> SerialPort:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _lost(self, error: OSError) -> CheckFailed:
        return CheckFailed(f"the serial port failed: {error}", where=self._name)
