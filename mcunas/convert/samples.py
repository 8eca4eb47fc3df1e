# SPDX-License-Identifier: Apache-2.0
"""Representative data: arrays of real inputs in an .npz or .npy, read without pickle and within bounds."""
from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from mcunas.errors import InputError

_MAX_BYTES = 4 << 30
_FIX = "write float arrays with numpy.savez(path, INPUT=array), samples first"


def load_samples(path: Path) -> dict[str, np.ndarray]:
    """Arrays by name, an .npy's under "". Raises InputError."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > _MAX_BYTES:
                    raise InputError(f"holds more than {_MAX_BYTES >> 30} GiB", str(path), "a few hundred samples do")
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            arrays = {"": found}
        else:
            with found:
                arrays = {name: found[name] for name in found.files}
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", str(path), _FIX) from None
    except InputError:
        raise
    except Exception as error:      # zlib, zipfile and numpy each have their own ways to say that a file is damaged
        raise InputError(f"is not an .npz or .npy file of plain arrays ({type(error).__name__})", str(path), _FIX) from None
    if not arrays:
        raise InputError("holds no array", str(path), _FIX)
    for name, array in arrays.items():
        where = f'{path}: array "{name}"' if name else str(path)
        if array.dtype.kind not in "fiu" or array.ndim < 1:
            raise InputError(f"holds {array.dtype} of shape {array.shape}, not numbers per sample", where, _FIX)
        if not np.isfinite(array).all():
            raise InputError("holds values that are not finite", where, "leave those samples out")
    return arrays
