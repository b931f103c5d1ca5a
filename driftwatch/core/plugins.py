"""Plugins found by file name: one file in a package, or one entry point, is one plugin.

A plugin's name is its module's name: the same in file, configuration key and metric label. Entry points of
group ``driftwatch.<package>`` add plugins from other distributions.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType

from driftwatch.errors import ConfigError


@cache
def names(package: str) -> tuple[str, ...]:
    """Names of all plugins of ``driftwatch.<package>``, sorted, without importing any of them.

    Modules whose name begins with an underscore and ``base`` are helpers, not plugins.
    """
    location = importlib.import_module(f"driftwatch.{package}").__path__
    own = {
        item.name
        for item in pkgutil.iter_modules(location)
        if not item.name.startswith("_") and item.name != "base"
    }
    return tuple(sorted(own | {point.name for point in entry_points(group=f"driftwatch.{package}")}))


@cache
def load(package: str, name: str) -> ModuleType:
    """The plugin's module. Raises ``ConfigError`` with a suggestion for an unknown name."""
    if name not in names(package):
        raise ConfigError(unknown(package.rstrip("s"), name, names(package)))
    for point in entry_points(group=f"driftwatch.{package}"):
        if point.name == name:
            return importlib.import_module(point.module)
    return importlib.import_module(f"driftwatch.{package}.{name}")


def unknown(what: str, got: str, known: tuple[str, ...]) -> str:
    """The message for an unknown name, with the nearest known one.

    >>> unknown("detector", "kss", ("ks", "psi"))
    'unknown detector. Got "kss". Did you mean "ks"? Known: ks, psi.'
    """
    near = difflib.get_close_matches(got, known, n=1, cutoff=0.5)
    hint = f' Did you mean "{near[0]}"?' if near else ""
    return f'unknown {what}. Got "{got}".{hint} Known: {", ".join(known)}.'
