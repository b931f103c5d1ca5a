"""Sources that break the contract, each by one method changed. ``breaks`` is the rule that must fail."""

from __future__ import annotations

from broken_sources import extents, failures, limits, pieces, rows, settings, values, versions
from broken_sources.broken import Broken

#: By name.
BROKEN: dict[str, type[Broken]] = {
    name: kind
    for module in (rows, versions, values, extents, failures, limits, pieces, settings)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, Broken) and kind.__module__ == module.__name__
    if name != "ChangesValues"
}
