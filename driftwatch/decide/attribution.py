"""Which columns a page names, in which order, since when, and what did not change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from driftwatch.decide.evalues.stream_index import joint_owner
from driftwatch.decide.evidence import Part
from driftwatch.results.results import NamedColumn, Statistic

#: Expected share of named columns that did not move.
_FALSE_NAMES = 0.05
#: Which gauge describes a column best, first that has a value, where the strongest has none: its levels are
#: each too rare to compare, say.
_TELLING = ("ks", "tv", "missing", "unseen", "out_of_range", "volume", "correlation", "mmd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One owner's part in the evidence: log sum, its strongest detector, and the onset of that stream.

    ``log_e`` is an e-value that the owner did not move: the mean of what all of its budget since the last
    page became and what this window's alone did.
    """

    owner: str
    log_m: float
    log_e: float
    detector: str
    onset: int


def claims(parts: Mapping[str, Sequence[Part]], windows: float) -> list[Claim]:
    """Every owner's part in the evidence, strongest first, ``windows`` of budget after the last page."""
    found = []
    for owner, held in parts.items():
        strongest = max(held, key=lambda part: part.log_m)
        log_m = float(np.logaddexp.reduce([part.log_m for part in held]))
        budget = float(np.logaddexp.reduce([part.log_budget for part in held]))
        if not np.isfinite(budget):
            continue  # first seen in this window: it has nothing to bet yet
        now = float(np.logaddexp.reduce([part.log_now for part in held]))
        since = log_m - budget - np.log(max(windows, 1.0))
        found.append(
            Claim(
                owner=owner,
                log_m=log_m,
                log_e=float(np.logaddexp(since, now - budget) - np.log(2)),
                detector=strongest.detector,
                onset=strongest.onset,
            )
        )
    return sorted(found, key=lambda claim: -claim.log_m)


def name_columns(ranked: Sequence[Claim], statistics: Sequence[Statistic]) -> tuple[NamedColumn, ...]:
    """The columns a page names: the strongest always, and what e-BH selects among all of them.

    False names: of the columns named, at most ``_FALSE_NAMES`` are expected not to have moved, whatever the
    dependence between columns (Wang, Ramdas 2022): the largest ``r`` with ``r`` e-values of at least
    ``K / (r _FALSE_NAMES)``.
    """
    if not ranked:
        return ()
    falling = sorted((claim.log_e for claim in ranked), reverse=True)
    needed = [float(np.log(len(ranked) / ((r + 1) * _FALSE_NAMES))) for r in range(len(ranked))]
    passed = [limit for log_e, limit in zip(falling, needed, strict=True) if log_e >= limit]
    least = passed[-1] if passed else np.inf
    total = float(np.logaddexp.reduce([claim.log_m for claim in ranked]))
    return tuple(
        NamedColumn(
            column=claim.owner,
            detector=claim.detector,
            share=float(np.exp(claim.log_m - total)),
            effect=describe(claim.owner, claim.detector, statistics),
            onset=claim.onset,
        )
        for position, claim in enumerate(ranked)
        if not position or claim.log_e >= least
    )


def describe(name: str, detector: str, statistics: Sequence[Statistic]) -> str:
    """The plain-word effect of a column, from its strongest detector first."""
    mine = {
        item.detector: item.effect
        for item in statistics
        if (joint_owner(item.detector) if item.column is None else item.column) == name
    }
    for candidate in (detector, *_TELLING):
        if mine.get(candidate):
            return mine[candidate]
    return ""
