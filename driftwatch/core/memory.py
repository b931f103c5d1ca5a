"""Keep long-lived processes small: memory freed after a large read goes back to the system."""

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


class ImportBlocker(MetaPathFinder):
    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == self._package:
            reason = "driftwatch keeps it out of its daemon and its readers, to stay small"
            raise ModuleNotFoundError(f"No module named {fullname!r}: {reason}", name=fullname)
        return None


def block_pandas_import() -> None:
    # pyarrow imports pandas, where it can, at its first numpy array: 40 MB and a third of a second.
    sys.meta_path.insert(0, ImportBlocker("pandas"))


def use_single_arena() -> None:
    """Make threads and pyarrow share one glibc arena. Call it before pyarrow is imported."""
    # With several arenas, less of the freed memory can be released.
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def retain_freed_memory(megabytes: int = 8) -> None:
    """Let glibc keep freed memory, for a process that repeats the same work window after window."""
    # The arrays of a history of 400 windows have a megabyte each. By default, glibc takes each from the
    # system and returns it at once: that was half the time of calibration, and of the sums of a sample.
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_TRIM_THRESHOLD, megabytes << 20)
        library.mallopt(_M_MMAP_THRESHOLD, megabytes << 19)


def release_memory() -> None:
    gc.collect()
    if (arrow := sys.modules.get("pyarrow")) is not None:
        arrow.default_memory_pool().release_unused()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
