"""Discovery of plugins: modules of a package, and entry points of the group ``driftwatch.<package>``.

The name of a plugin is also its configuration key and metric label.
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
    """Return sorted plugin names, importing none; ``base`` and ``_name`` modules are not plugins."""
    location = importlib.import_module(f"driftwatch.{package}").__path__
    file_names = {
        item.name
        for item in pkgutil.iter_modules(location)
        if not item.name.startswith("_") and item.name != "base"
    }
    return tuple(sorted(file_names | {point.name for point in entry_points(group=f"driftwatch.{package}")}))


@cache
def load(package: str, name: str) -> ModuleType:
    """Import a plugin. Raises ``ConfigError`` with a suggestion for an unknown name."""
    if name not in names(package):
        raise ConfigError(unknown_name_message(package.rstrip("s"), name, names(package)))
    for point in entry_points(group=f"driftwatch.{package}"):
        if point.name == name:
            return importlib.import_module(point.module)
    return importlib.import_module(f"driftwatch.{package}.{name}")


def unknown_name_message(noun: str, name: str, choices: tuple[str, ...]) -> str:
    """Return an error text that suggests the closest name.

    >>> unknown_name_message("detector", "kss", ("ks", "psi"))
    'unknown detector. Got "kss". Did you mean "ks"? Known: ks, psi.'
    """
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    hint = f' Did you mean "{near[0]}"?' if near else ""
    return f'unknown {noun}. Got "{name}".{hint} Known: {", ".join(choices)}.'
