"""Which columns a page names, in which order, since when, and what did not change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from driftwatch.decide.evidence import Bet, Stream, joint_owner, key_of, owner
from driftwatch.decide.policy import Policy
from driftwatch.summary.result import NamedColumn, Statistic

#: A column whose own window speaks this loudly (log e) is named with the page it did not cause.
_ALSO_MOVED = float(np.log(100.0))
#: Which gauge describes a column best, first that has a value.
_TELLING = ("missing", "unseen", "ks", "tv", "out_of_range", "volume", "correlation", "mmd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One owner's part in the evidence: log sum, its strongest detector, and the onset of that stream."""

    owner: str
    log_m: float
    log_e: float
    detector: str
    onset: int


def claims(streams: Sequence[Stream], bets: Mapping[int, Bet]) -> list[Claim]:
    """Every owner's part in the evidence, strongest first."""
    found: dict[str, Claim] = {}
    for position, stream in enumerate(streams):
        if position not in bets:
            continue
        made = bets[position]
        log_m = float(np.logaddexp.reduce(made.evidence.log_m, axis=None))
        best = int(np.argmax(made.evidence.log_m))
        claim = Claim(
            owner=owner(stream),
            log_m=log_m,
            log_e=made.log_e,
            detector=key_of(stream)[0],
            onset=int(made.evidence.onset.flat[best]),
        )
        known = found.get(claim.owner)
        if known is None:
            found[claim.owner] = claim
        else:
            stronger = claim if claim.log_m > known.log_m else known
            found[claim.owner] = Claim(
                owner=claim.owner,
                log_m=float(np.logaddexp(claim.log_m, known.log_m)),
                log_e=max(claim.log_e, known.log_e),
                detector=stronger.detector,
                onset=stronger.onset,
            )
    return sorted(found.values(), key=lambda claim: -claim.log_m)


def name_columns(
    ranked: Sequence[Claim], statistics: Sequence[Statistic], policy: Policy
) -> tuple[NamedColumn, ...]:
    """The columns a page names: those that would have paged with the whole budget to themselves.

    Each owner got 1/K of the budget, so its evidence times K is what it would have had alone; a column
    that did not move reaches 1 at most as often as the whole page budget allows. The strongest is named
    always; a column whose window alone is loud is named too, so that one cause is one page.
    """
    if not ranked:
        return ()
    total = float(np.logaddexp.reduce([claim.log_m for claim in ranked]))
    alone = float(np.log(len(ranked)))
    named = []
    for position, claim in enumerate(ranked):
        if position and claim.log_m + alone < 0 and claim.log_e < _ALSO_MOVED:
            continue
        named.append(
            NamedColumn(
                column=claim.owner,
                detector=claim.detector,
                share=float(np.exp(claim.log_m - total)),
                effect=describe(claim.owner, claim.detector, statistics),
                onset=claim.onset,
            )
        )
    return tuple(named)


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
