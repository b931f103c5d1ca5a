"""Two runs of a history compared: where they differ, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

#: Names that one line lists.
_LISTED = 12


def differences(record: Mapping[str, Any], run: Mapping[str, Any]) -> list[str]:
    """Every line names one kind of difference; runs that are equal have none."""
    if run["whole"] == record["whole"]:
        return []
    lines = [
        f"{kind}: {_listed(names)}"
        for kind in _names(record["parts"], run["parts"])
        if (names := _changes(record["parts"].get(kind, {}), run["parts"].get(kind, {})))
    ]
    lines += [f"steps: {line}" for line in _steps(record["steps"], run["steps"], run["moments"])]
    old, new = record["counts"], run["counts"]
    counts = [f"{name} {new.get(name, 0)} (record {old.get(name, 0)})" for name in _changes(old, new)]
    return lines + ([f"counts: {_listed(counts)}"] if counts else [])


def _steps(record: Mapping[str, str], run: Mapping[str, str], moments: list[str]) -> Iterable[str]:
    """Each line names the first step at which a kind differs."""
    for kind in _names(record, run):
        old, new = record.get(kind, "").split(), run.get(kind, "").split()
        pairs = zip(old, new, strict=False)
        step = next((step for step, pair in enumerate(pairs) if len(set(pair)) > 1), None)
        if step is not None:
            yield f"{kind} differ first at step {step + 1} of {len(new)}, the clock at {moments[step]}"
        elif len(old) != len(new):
            yield f"{kind} have {len(new)} steps (record {len(old)})"


def _changes(record: Mapping[str, Any], run: Mapping[str, Any]) -> list[str]:
    return [name for name in _names(record, run) if record.get(name) != run.get(name)]


def _names(record: Mapping[str, Any], run: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys([*record, *run]))


def _listed(names: list[str]) -> str:
    rest = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
