"""Discovery of plugins: modules of a room, and entry points of the group ``driftwatch.<room>``.

The name of a plugin is also its configuration key and metric label. A plugin that cannot be used is an error
only for those who load it.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType, ModuleType

from driftwatch.errors import ConfigError, DriftwatchError

#: What a plugin outside this repository may import; anything else can change in every release.
PUBLIC_MODULES = (
    "driftwatch",
    "driftwatch.core.arrays",
    "driftwatch.core.schema",
    "driftwatch.core.settings",
    "driftwatch.decoders.base",
    "driftwatch.detectors.base",
    "driftwatch.engines.base",
    "driftwatch.errors",
    "driftwatch.notify.base",
    "driftwatch.results.gauges",
    "driftwatch.results.results",
    "driftwatch.results.streams",
    "driftwatch.sources.base",
    "driftwatch.summary.counts",
    "driftwatch.summary.grid",
    "driftwatch.summary.plan",
    "driftwatch.summary.reference",
    "driftwatch.summary.summary",
)

_VALID_NAME = re.compile(r"[a-z][a-z0-9_]*")
#: What a module of somebody else can raise while it is imported.
_IMPORT_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, BufferError, DriftwatchError, EOFError, ImportError,
    LookupError, MemoryError, NameError, OSError, RuntimeError, StopIteration, SyntaxError, TypeError,
    ValueError, Warning, re.error, struct.error, zlib.error,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    #: What a plugin of the room is called in errors.
    noun: str
    #: Names that its module defines.
    exports: tuple[str, ...]


ROOMS = MappingProxyType(
    {
        "decoders": Room(noun="decoder", exports=("CONFIG", "open_decoder")),
        "detectors": Room(noun="detector", exports=("DETECTOR",)),
        "engines": Room(noun="engine", exports=("CONFIG", "open_engine")),
        "notify": Room(noun="notifier", exports=("CONFIG", "open_notifier")),
        "sources": Room(noun="source", exports=("CONFIG", "open_source")),
    }
)


@cache
def names(package: str) -> tuple[str, ...]:
    """Return sorted plugin names, importing none; ``base`` and ``_name`` modules are not plugins."""
    return tuple(sorted(built_in_names(package) | _outside(package).keys()))


@cache
def outside_names(package: str) -> tuple[str, ...]:
    """Return sorted names of the plugins that other packages install."""
    return tuple(sorted(_outside(package)))


def load(package: str, name: str) -> ModuleType:
    """Import a plugin.

    Raises ``ConfigError``, with a suggestion for an unknown name and the package of a plugin that is broken.
    """
    if name not in names(package):
        raise ConfigError(unknown_name_message(ROOMS[package].noun, name, names(package)))
    if name not in outside_names(package):
        return importlib.import_module(f"driftwatch.{package}.{name}")
    module = _load_outside(package, name)
    if isinstance(module, str):
        raise unusable(package, name, module)
    return module


def unusable(package: str, name: str, problem: str) -> ConfigError:
    """Return the error of a plugin that is there but cannot be used; ``problem`` ends with a full stop."""
    noun, points = ROOMS[package].noun, _outside(package).get(name, ())
    if not points:
        return ConfigError(f'{noun} "{name}" cannot be used: {problem}')
    owners = " and ".join(dict.fromkeys(_owner(point) for point in points))
    return ConfigError(f'{noun} "{name}" of {owners} cannot be used: {problem} Repair or uninstall {owners}.')


def unknown_name_message(noun: str, name: str, choices: tuple[str, ...]) -> str:
    """Return an error text that suggests the closest name.

    >>> unknown_name_message("detector", "kss", ("ks", "psi"))
    'unknown detector. Got "kss". Did you mean "ks"? Known: ks, psi.'
    """
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    hint = f' Did you mean "{near[0]}"?' if near else ""
    return f'unknown {noun}. Got "{name}".{hint} Known: {", ".join(choices) or "none"}.'


@cache
def built_in_names(package: str) -> frozenset[str]:
    location = importlib.import_module(f"driftwatch.{package}").__path__
    return frozenset(
        item.name
        for item in pkgutil.iter_modules(location)
        if not item.name.startswith("_") and item.name != "base"
    )


@cache
def _outside(package: str) -> Mapping[str, tuple[EntryPoint, ...]]:
    points: dict[str, tuple[EntryPoint, ...]] = {}
    for point in entry_points(group=f"driftwatch.{package}"):
        points[point.name] = (*points.get(point.name, ()), point)
    return MappingProxyType(points)


@cache
def _load_outside(package: str, name: str) -> ModuleType | str:
    # The module, or why it cannot be used. A failed import is not repeated: pages ask for every plugin often.
    point, *others = _outside(package)[name]
    if _VALID_NAME.fullmatch(name) is None:
        return "expected a name of lower-case letters, digits and underscores, beginning with a letter."
    if others:
        return "expected one package with a plugin of this name. Got several."
    if name in built_in_names(package):
        return "driftwatch has a plugin of this name itself."
    try:
        module = importlib.import_module(point.module)
    except _IMPORT_ERRORS as error:
        text = " ".join(str(error).split()).rstrip(".")
        return f"expected to import {point.module}. Got {type(error).__name__}: {text}."
    missing_names = [item for item in ROOMS[package].exports if not hasattr(module, item)]
    if missing_names:
        return f"expected {point.module} to define {' and '.join(missing_names)}. It does not."
    return module


def _owner(point: EntryPoint) -> str:
    return "an unnamed package" if point.dist is None else f"{point.dist.name} {point.dist.version}"
