# SPDX-License-Identifier: Apache-2.0
"""A dask cluster as an Executor: `dask scheduler`, a `dask worker` per core on every machine, and the scheduler's address.

The scheduler and the workers import mcunas, so it must be installed there in the same version; data comes from here.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

from mcunas import __version__
from mcunas.errors import InputError, ToolMissing
from mcunas.search.asktell.fidelity import Evaluator
from mcunas.search.asktell.held import Held

TIMEOUT_S = 15


class Cluster(Executor):
    """dask's executor, and a record of what it does by itself: a job whose worker dies is run again without a word, so each
    attempt says so to the scheduler (one that dies within milliseconds may not get that far)."""

    def __init__(self, client: Any) -> None:
        self._client, self._inner = client, client.get_executor(pure=False)
        self._topic, self._names = f"mcunas-{uuid4().hex}", {}
        self._held: tuple[Evaluator, Held] | None = None

    def submit(self, function: Callable, *args: Any) -> Future:  # type: ignore[override]
        name = uuid4().hex
        future = self._inner.submit(_announced, self._topic, name, function, *args)
        self._names[future] = name
        return future

    def held(self, evaluator: Evaluator) -> Held:
        """What stands for it in a job; every worker is given it before, once."""
        from mcunas.search.asktell.parcel import Parcel

        if self._held is None or self._held[0] is not evaluator:
            self._forget()
            name = uuid4().hex
            self._client.register_plugin(Parcel(name, evaluator))
            self._held = evaluator, Held(name)
        return self._held[1]

    def _forget(self) -> None:
        if self._held is not None:
            with suppress(OSError, TimeoutError):       # a scheduler that is gone has forgotten it
                self._client.unregister_worker_plugin(self._held[1].name)
            self._held = None

    def unheard(self, future: Future) -> tuple[int, float]:
        """(attempts of a job that died, seconds from the first to the last attempt's beginning)."""
        name = self._names.pop(future)
        begun = [when for when, said in self._client.get_events(self._topic) if said == name]
        return max(len(begun) - 1, 0), begun[-1] - begun[0] if begun else 0.0

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._forget()
        self._inner.shutdown(wait=wait)


def _demand_same(client: Any, address: str) -> None:
    """Raise InputError unless the scheduler and all workers have this mcunas."""
    fix = f"install mcunas {__version__} on the scheduler's machine and on every worker's"
    try:
        client.submit(_version, pure=False).result(TIMEOUT_S)
        found = set(client.run(_version).values())
    except (ImportError, RuntimeError, AttributeError, TimeoutError) as error:
        raise InputError(f"the cluster cannot run mcunas ({type(error).__name__})", where=address, fix=fix) from None
    if found != {__version__}:
        raise InputError(f"its workers have mcunas {', '.join(sorted(found))}", where=address, fix=fix)


def _version() -> str:
    return __version__


def _announced(topic: str, name: str, function: Callable, *args: Any) -> Any:
    from distributed import get_worker

    get_worker().log_event(topic, name)
    return function(*args)


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """address: of the scheduler, like tcp://host:8786. Raises ToolMissing without dask.distributed, InputError when nobody
    answers or no worker is there."""
    try:
        from distributed import Client
    except ImportError:
        raise ToolMissing("dask.distributed is not installed", where="--cluster",
                          fix="install mcunas[cluster], here and on the workers") from None
    try:
        client = Client(address, timeout=TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"no dask scheduler answers ({reason})", where=address,
                         fix="start one with `dask scheduler` and name its address") from None
    with client:
        try:
            client.wait_for_workers(1, timeout=TIMEOUT_S)
        except TimeoutError:
            raise InputError("the scheduler has no workers", where=address, fix=f"start some: dask worker {address}"
                             ) from None
        _demand_same(client, address)
        with Cluster(client) as cluster:
            yield cluster
