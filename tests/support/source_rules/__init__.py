"""The contract of sources as functions: each raises for a source that breaks its rule.

``tests/contracts/test_sources.py`` runs them on every plugin, ``test_broken_sources.py`` on sources that
break one rule each.
"""

from __future__ import annotations

from source_rules import extents, failures, limits, pieces, rows, settings, values, versions
from source_rules.rule import Rule

RULES: tuple[Rule, ...] = tuple(
    rule
    for module in (rows, versions, values, extents, failures, limits, pieces, settings)
    for rule in vars(module).values()
    if isinstance(rule, Rule)
)
