# SPDX-License-Identifier: Apache-2.0
"""Where a study lies: an SQLite file in the run's folder, or any Optuna storage by its URL.

A file is written whole before it gets its name, is checked before it is used, and belongs to one search at a time. What
cannot be read, or is another search's, is an error in one line; nothing here overwrites or removes a study that it did not
make, but for `forget`. Watch one with `optuna-dashboard sqlite:///DIR/study.db`.
"""
from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mcunas.atomic import alone
from mcunas.errors import InputError

if TYPE_CHECKING:
    import optuna

FILE, LOCK = "study.db", "study.lock"
NAME = "search"             # of the study in a file of its own
FINGERPRINT = "fingerprint"
FIX = "choose another out folder, or search with --no-resume"


@contextmanager
def opened(out: Path, fingerprint: str, directions: tuple[str, ...], url: str | None = None) -> Iterator[optuna.Study]:
    """The search's study, created where there is none. url: of another storage than the file in `out`; the study is then
    called by the fingerprint, so that every search has its own there.

    Raises InputError when it cannot be read, is in use, or is of another search.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if url is not None:
        with _told(url):
            yield _demanded(optuna.create_study(storage=url, study_name=f"{NAME}-{fingerprint[:16]}", directions=directions,
                                                load_if_exists=True), fingerprint, url)
        return
    out.mkdir(parents=True, exist_ok=True)
    path = out / FILE
    (out / LOCK).touch()
    with alone(out / LOCK, path):
        if not path.exists():
            _create(path, fingerprint, directions)
        with _told(str(path)):
            _check(path)
            storage = _stored(path)
            try:
                yield _demanded(optuna.load_study(study_name=NAME, storage=storage), fingerprint, str(path))
            finally:
                storage.remove_session()
                storage.engine.dispose()


def forget(out: Path) -> None:
    """Remove the study in `out`, as somebody asked for."""
    (out / FILE).unlink(missing_ok=True)
    _journal(out / FILE).unlink(missing_ok=True)


def _create(path: Path, fingerprint: str, directions: tuple[str, ...]) -> None:
    import optuna

    part = path.with_name(f".{path.name}.part")
    for left in (part, _journal(part), _journal(path)):     # a journal would be rolled back into the new file
        left.unlink(missing_ok=True)
    storage = _stored(part)
    study = optuna.create_study(storage=storage, study_name=NAME, directions=directions)
    study.set_user_attr(FINGERPRINT, fingerprint)
    storage.remove_session()
    storage.engine.dispose()
    part.replace(path)


def _stored(path: Path) -> optuna.storages.RDBStorage:
    """Opened by its path: in a URL some of the characters that a path may have mean something else."""
    import optuna
    from sqlalchemy.pool import QueuePool

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(place, check_same_thread=False)

    place = path.absolute()
    return optuna.storages.RDBStorage("sqlite://", {"creator": connect, "poolclass": QueuePool})


def _journal(path: Path) -> Path:
    """What SQLite keeps beside a file while it writes, and goes back to after a kill."""
    return path.with_name(f"{path.name}-journal")


def _demanded(study: optuna.Study, fingerprint: str, where: str) -> optuna.Study:
    found = study.user_attrs.get(FINGERPRINT)
    if found is None and not study.get_trials(deepcopy=False):
        study.set_user_attr(FINGERPRINT, fingerprint)
    elif found != fingerprint:
        raise InputError("the study belongs to a search with other settings", where=where, fix=FIX)
    return study


def _check(path: Path) -> None:
    """Raise sqlite3.DatabaseError unless the whole file reads; an empty one is none of ours. Opened for writing, as a
    transaction that was killed half-way is rolled back first."""
    if not path.stat().st_size:
        raise sqlite3.DatabaseError("it is empty")
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)
    try:
        (said,), *_ = connection.execute("PRAGMA integrity_check").fetchall()
    finally:
        connection.close()
    if said != "ok":
        raise sqlite3.DatabaseError(str(said))


@contextmanager
def _told(where: str) -> Iterator[None]:
    """What the storage raises, as one line. An error of the search itself passes."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (sqlite3.Error, SQLAlchemyError, optuna.exceptions.StorageInternalError, KeyError, ImportError) as error:
        if isinstance(error, (KeyError, ImportError)) and not _is_of_storage(error):
            raise
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()
        raise InputError(f"cannot use the study ({reason[0] if reason else type(error).__name__})", where=where,
                         fix=f"restore the file from a copy, or {FIX}") from None


def _is_of_storage(error: BaseException) -> bool:
    """Whether Optuna or SQLAlchemy raised it."""
    frames, at = [], error.__traceback__
    while at:
        frames.append(at.tb_frame.f_globals.get("__name__", ""))
        at = at.tb_next
    return frames[-1].split(".")[0] in ("optuna", "sqlalchemy", "importlib")
