"""What a long-lived process does so that one large read does not stay a large process."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


class Without(MetaPathFinder):
    """Makes a package look as if it were not installed."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raises for the package, passes on every other."""
        if fullname == self._package:
            why = "driftwatch keeps it out of its daemon and its readers, to stay small"
            raise ModuleNotFoundError(f"No module named {fullname!r}: {why}", name=fullname)
        return None


def without_pandas() -> None:
    """From now on pandas cannot be imported in this process.

    pyarrow imports it when it first meets a numpy array, if it can: 40 MB and a third of a second.
    """
    sys.meta_path.insert(0, Without("pandas"))


def one_arena() -> None:
    """Have all threads and pyarrow allocate from one place, so that what they free can be given back (glibc).

    To be called before pyarrow is imported.
    """
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def keep_some(megabytes: int = 8) -> None:
    """Keep so many freed megabytes (glibc), for a process that does the same window after window.

    The arrays of a history of 400 windows are a megabyte each. By default every one is fetched from the
    system and given back at once: that took half of the time of learning, and of making the sums of a sample.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_TRIM_THRESHOLD, megabytes << 20)
        library.mallopt(_M_MMAP_THRESHOLD, megabytes << 19)


def give_back() -> None:
    """Return freed memory to the system."""
    gc.collect()
    if (arrow := sys.modules.get("pyarrow")) is not None:
        arrow.default_memory_pool().release_unused()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
