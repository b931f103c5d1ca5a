"""Verdicts of pairs of runs are right, and a stopped comparison goes on where it was."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import against
import paired
import pytest
from scipy.stats import binomtest
from sides import WORKTREE, Side

#: Noise of nine pairs, in per cent.
NOISE = (-1.3, 0.4, 0.9, -0.2, 1.7, -0.8, 0.1, -1.9, 1.1)


def ratios(middle: float, scale: float = 1.0) -> list[float]:
    return [middle * math.exp(scale * percent / 100) for percent in NOISE]


@pytest.mark.parametrize(("pairs", "cut"), [(6, 0), (8, 0), (9, 1), (12, 2), (15, 3), (18, 4), (25, 7)])
def test_the_interval_has_what_the_sign_test_does_not_reject(pairs: int, cut: int) -> None:
    assert paired.count_outside(pairs) == cut
    assert binomtest(cut, pairs).pvalue <= 2 * paired.TAIL < binomtest(cut + 1, pairs).pvalue


def test_five_pairs_have_no_interval() -> None:
    with pytest.raises(ValueError, match=r"at least 6 pairs\. Got 5"):
        paired.count_outside(5)


@pytest.mark.parametrize(
    ("middle", "scale", "verdict"),
    [
        (1.0, 1.0, "same"),
        (1.05, 1.0, "worse"),
        (0.95, 1.0, "better"),
        (1.03, 1.0, "unclear"),
        (1.0, 9.0, "unclear"),
    ],
)
def test_verdicts(middle: float, scale: float, verdict: str) -> None:
    ratio, low, high = paired.interval(ratios(middle, scale))
    assert low < ratio < high
    assert ratio == pytest.approx(middle, rel=0.003 * scale)
    assert paired.verdict(low, high) == verdict


def test_one_pair_that_something_ran_into_changes_nothing() -> None:
    _, low, high = paired.interval([*ratios(1.0)[:-1], 3.0])
    assert paired.verdict(low, high) == "same"


def item(name: str, value: float, **figures: float) -> dict[str, Any]:
    return {"name": name, "unit": "s CPU", "value": value, **figures}


def pair(number: int, ratio: float) -> dict[str, Any]:
    this = [item("a", 2 * ratio, mib=30.0), item("added", 1.0), item("nothing", 0.0)]
    return {"pair": number, "items": {"this": this, "that": [item("a", 2.0, mib=20.0), item("nothing", 0.0)]}}


def test_every_item_of_a_line_is_compared() -> None:
    worse_item, zero_item, unpaired_item = paired.comparisons(
        pair(*numbered_ratio) for numbered_ratio in enumerate(ratios(1.1))
    )
    assert (worse_item.name, worse_item.verdict, worse_item.pairs, worse_item.that) == ("a", "worse", 9, 2.0)
    assert worse_item.this == pytest.approx(2.2, rel=0.01)
    assert worse_item.beside == {"mib": 1.5}
    assert (unpaired_item.name, unpaired_item.verdict) == ("added", "not in both")
    assert (zero_item.name, zero_item.verdict, zero_item.ratio) == ("nothing", "unclear", None)
    assert "worse" in against.row(worse_item)
    assert "not in both" in against.row(unpaired_item)


class Sham(against.Race):
    """A race whose pairs take no time."""

    def _warm(self, line: str) -> str:
        return ""

    def _run(self, line: str, number: int) -> dict[str, list[dict[str, Any]]]:
        return pair(number, ratios(1.0)[number])["items"]


def race(path: Path, commit: str = "new", pairs: int = 9) -> Sham:
    this, that = (Side(commit=name, root=path.parent) for name in (commit, "old"))
    return Sham(this=this, that=that, pairs=pairs, full=False, path=path)


def test_a_stopped_comparison_goes_on_and_counts_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    for pairs in (6, 9, 9):
        assert race(path, pairs=pairs).compare("line")[0].pairs == pairs
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 9
    path.write_text("\n".join([*lines, lines[0], lines[1][:20]]), encoding="utf-8")
    assert sorted(race(path).finished_pairs("line")) == list(range(9))
    assert race(path).compare("line")[0].pairs == 9
    assert race(path).seconds("line") == 0.0
    assert race(path).finished_pairs("other") == {}
    assert race(path, commit="newer").finished_pairs("line") == {}


def test_a_working_tree_is_measured_afresh(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    for count in (9, 18):
        race(path, commit=WORKTREE).compare("line")
        assert len(path.read_text(encoding="utf-8").splitlines()) == count
