"""Stands of sources: each puts rows where one source reads them, and makes that place fail.

A module named as the source lists its stands as ``STANDS``. The contract suite finds it by name, so a new
source needs this file and the plugin's own, nothing else.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pyarrow as pa

SECRET = "hunter2andmore"

#: While the context lasts, reading by the settings it yields fails.
Outage = Callable[[], AbstractContextManager[dict[str, Any]]]


class Stand:
    """A place with rows, empty at first.

    Without ``spoil`` there are no pieces that could be unreadable alone, without ``interrupt`` no way to
    break a reading off from this side.
    """

    #: Of this way to keep rows, unique among all stands.
    name: ClassVar[str]
    #: The source's module.
    module: ClassVar[str]
    #: It needs a real service.
    peer: ClassVar[bool] = False
    #: Names of ``source_tables.TIMES`` and ``VALUES`` that can be kept here without loss.
    times: ClassVar[frozenset[str]]
    values: ClassVar[frozenset[str]]
    #: Structures can be kept here.
    structures: ClassVar[bool] = False
    #: Two values of a type that holds no times; None where every column may hold texts.
    timeless: ClassVar[pa.Array | None] = pa.array([True, False])
    #: Bytes that may be read ahead of the batches.
    read_ahead: ClassVar[int] = 0
    #: Rows have an order, which may be part of the version.
    ordered: ClassVar[bool] = True
    #: Nanoseconds; rows that far from a span do not change its version. None: all rows may.
    margin: ClassVar[int | None]
    #: The source can leave pieces out (``Piecewise``).
    piecewise: ClassVar[bool] = False
    #: Adds a piece that cannot be read, with ``SECRET`` in it, and returns its name.
    spoil: Callable[[], str] | None = None
    #: Called amid a reading: what was not yet read can be read no more.
    interrupt: Callable[[], None] | None = None

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        self.address = address

    @classmethod
    @contextmanager
    def service(cls) -> Iterator[str]:
        """What all stands of this kind share; yields its address."""
        yield ""

    def settings(self, **changes: Any) -> dict[str, Any]:
        """The source's settings as written in a configuration; the time column is ``t``."""
        raise NotImplementedError

    def put(self, content: pa.Table) -> None:
        """Replace all rows. What does not change stays untouched."""
        raise NotImplementedError

    @property
    def places(self) -> tuple[str, ...]:
        """What names the place of a trouble: a text of an error has one of them."""
        raise NotImplementedError

    def outages(self) -> Mapping[str, Outage]:
        """Troubles that pass: a retry can help."""
        raise NotImplementedError

    def mistakes(self) -> Mapping[str, dict[str, Any]]:
        """Changes of the settings that the configuration cannot refuse and no retry can cure."""
        return {}

    def refused(self) -> Mapping[str, dict[str, Any]]:
        """Changes of the settings that the configuration refuses."""
        raise NotImplementedError

    def secretive(self) -> Mapping[str, dict[str, Any]]:
        """Changes of the settings that hold ``SECRET`` and fail."""
        raise NotImplementedError


def module_of(source: str) -> ModuleType | None:
    name = f"source_stands.{source}"
    return None if importlib.util.find_spec(name) is None else importlib.import_module(name)


def stands_of(source: str) -> tuple[type[Stand], ...]:
    module = module_of(source)
    return () if module is None else tuple(module.STANDS)
