"""What a page says of a column."""

from __future__ import annotations

from driftwatch.decide.attribution import describe
from driftwatch.results.results import Statistic

#: As in pages: the plainest first, shares last.
ORDER = ("ks", "tv", "missing")


def gauge(detector: str, effect: str) -> Statistic:
    """A gauge of the column ``dest``; undefined without an effect."""
    value, undefined = (0.1, "") if effect else (None, "too rare")
    return Statistic(
        detector=detector,
        column="dest",
        value=value,
        unit="share of rows",
        effect=effect,
        undefined=undefined,
    )


def test_a_column_is_described_by_what_moved_and_not_by_what_did_not() -> None:
    levels = [gauge("missing", "missing 0 % → 0 %"), gauge("tv", '"ORD" 5 % → 9 %')]
    assert describe("dest", "chi2", [*levels, gauge("chi2", '"ATL" 5 % → 1 %')], ORDER) == '"ATL" 5 % → 1 %'
    assert describe("dest", "chi2", [*levels, gauge("chi2", "")], ORDER) == '"ORD" 5 % → 9 %'
    assert describe("dest", "missing", levels, ORDER) == "missing 0 % → 0 %"
    assert describe("carrier", "chi2", levels, ORDER) == ""
