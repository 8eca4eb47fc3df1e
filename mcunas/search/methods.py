# SPDX-License-Identifier: Apache-2.0
"""Which methods there are, and where their code is. Another one needs no entry: my_module:shape, or my_module:choose."""
from __future__ import annotations

from importlib import import_module
from types import ModuleType

from mcunas.errors import InputError, did_you_mean
from mcunas.named import module_named

# name -> module with shape(run): brings run.net to widths that fit, trained or not; the driver trains what is left.
# Or with choose(run): finds a genotype in a space that fits (nas/). Or with accelerated(...): a road of its own.
METHODS = {"diffprune": "mcunas.search.diffprune", "smcp": "mcunas.search.smcp", "uniform": "mcunas.search.uniform",
           "random": "mcunas.search.random_widths", "macs": "mcunas.search.macs", "greedy": "mcunas.search.greedy",
           "priced": "mcunas.search.priced", "unsliced": "mcunas.search.unsliced", "scratch": "mcunas.search.scratch",
           "fbnet": "mcunas.search.fbnet", "random-space": "mcunas.search.random_space", "always": "mcunas.search.always",
           "proxyless": "mcunas.search.proxyless", "rarts": "mcunas.search.rarts", "prunet": "mcunas.search.prunet",
           "padnas": "mcunas.search.padnas", "quantnas": "mcunas.search.quantnas", "repnas": "mcunas.search.repnas",
           "ran": "mcunas.search.ran", "ran-implicit": "mcunas.search.ran_implicit",
           "nsga2": "mcunas.search.nsga2", "adapt": "mcunas.search.adapt", "lana": "mcunas.search.lana",
           "mnas": "mcunas.search.mnas", "tpe": "mcunas.search.tpe", "trade": "mcunas.search.trade"}
ENTRIES = ("shape", "choose")       # of a user's own


def module_of(method: str) -> ModuleType:
    """Of a name in METHODS, or of a user's module:shape or module:choose. Raises InputError for another one."""
    if method in METHODS:
        return import_module(METHODS[method])
    if ":" not in method:
        raise InputError(f"unknown method {method!r}", fix=did_you_mean(method, METHODS) + ", or module:shape of your own")
    if method.rpartition(":")[2] not in ENTRIES:
        raise InputError("a method of your own is a function of one of two names", where=method,
                         fix="shape(run) gives run.net widths that fit, choose(run) returns a genotype of run.space")
    return module_named(method)
