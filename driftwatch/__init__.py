"""driftwatch: the daemon that says when a model's test set no longer stands for production.

>>> import driftwatch
>>> driftwatch.__version__.count(".")
2
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from driftwatch.comparison import Reference, compare

__version__ = "0.1.0"
__all__ = ["Reference", "__version__", "compare"]


def __getattr__(name: str) -> Any:
    """Import the notebook API only when it is asked for, so that the command line starts quickly."""
    if name in ("compare", "Reference"):
        from importlib import import_module

        return getattr(import_module("driftwatch.comparison"), name)
    raise AttributeError(f"module 'driftwatch' has no attribute {name!r}")
