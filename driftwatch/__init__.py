"""driftwatch: the daemon that says when a model's test set no longer represents production.

In notebooks and CI ``compare`` compares two data frames; ``Reference`` freezes one for later comparisons.

>>> import driftwatch
>>> [name for name in dir(driftwatch) if not name.startswith("__")]
['Reference', 'compare']
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
    """Import the notebook API only when it is used, so that the command line starts quickly."""
    if name in ("compare", "Reference"):
        from importlib import import_module

        return getattr(import_module("driftwatch.comparison"), name)
    raise AttributeError(f"module 'driftwatch' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
