"""What moved, in plain words. Everything that comes from data is cut and escaped."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.core.schema import Kind
from driftwatch.detectors._support.cdf_distance import apart
from driftwatch.detectors._support.cell_arrays import (
    MEDIAN,
    SHARES,
    WindowCells,
    after_quantiles,
    before_quantiles,
    spreads,
)
from driftwatch.detectors._support.column_batch import Binned, ColumnBatch, alone, binned
from driftwatch.detectors._support.column_pair import Pair
from driftwatch.summary.cell_quantiles import Quantiles, quantiles

#: Longest level or column name shown.
LONGEST = 40
_LOW, _HIGH = 0, len(SHARES) - 1
_MEASURE = {Kind.TEXT: " length", Kind.VECTOR: " norm"}
#: Changes of unit worth a hint, each a factor and an offset: powers of ten, time; length, mass, temperature.
_COARSE = (
    *(10.0**power for power in (-6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6)),
    *(factor for base in (60.0, 3600.0) for factor in (base, 1 / base)),
)
_FINE = tuple(factor for base in (1.609344, 2.204623, 2.54, 3.28084) for factor in (base, 1 / base))
_CHANGES = np.array(
    [(1.0, 0.0), *((factor, 0.0) for factor in _COARSE + _FINE), (1.8, 32.0), (1 / 1.8, -32 / 1.8)]
)


def quoted(text: str, longest: int = LONGEST) -> str:
    r"""A level or name in quotation marks, cut, with control characters escaped.

    >>> print(quoted("no\nrth"))
    "no\nrth"
    """
    return f'"{plain(text, longest)}"'


def plain(text: str, longest: int = LONGEST) -> str:
    """The same without the quotation marks."""
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    escaped = (
        char if char.isprintable() and char not in '"\\' else char.encode("unicode_escape").decode()
        for char in cut
    )
    return "".join('\\"' if char == '"' else char for char in escaped)


def percent(share: float) -> str:
    """A share as a percentage.

    >>> percent(0.123), percent(0.0004), percent(0.9996), percent(0.0)
    ('12 %', '0.04 %', '99.96 %', '0 %')
    """
    value = 100 * share
    if value in (0.0, 100.0) or 10 <= value < 99.5:
        return f"{value:.0f} %"
    if value >= 99.5:
        return f"{value:.2f} %" if value < 99.995 else ">99.99 %"
    return f"{value:.1f} %" if value >= 1 else f"{value:.1g} %"


def number(value: float) -> str:
    """A number with about four digits.

    >>> number(41000.0), number(0.12345), number(29.0), number(1e-9)
    ('41,000', '0.1235', '29', '1e-09')
    """
    if not math.isfinite(value):
        return "infinity" if value > 0 else "-infinity"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if not -5 < size < 15:
        return f"{value:.3g}"
    text = f"{value:,.{max(0, 3 - size)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def shares(before: float, after: float) -> str:
    """A share on both sides: ``0 % → 12 %``."""
    return f"{percent(before)} → {percent(after)}"


def levels(both: Pair) -> str:
    """The level whose share moved most: ``"north" 22 % → 41 %``."""
    before, after = both.reference / both.n, both.window / both.m
    # Of two that moved equally far, the one that grew.
    moved = int(np.argmax(np.abs(after - before) + 1e-12 * (after > before)))
    label = quoted(both.levels[moved]) if moved < len(both.levels) else "levels never seen"
    return f"{label} {shares(float(before[moved]), float(after[moved]))}"


#: The number of a bin, from 0, of how many, and its share on both sides.
Moved = tuple[int, int, float, float]


def bins(beside: ColumnBatch, k: int) -> str:
    """The bin of a column whose share moved most."""
    if k in beside.levelled:
        return bin_moved(*_most_moved(alone(beside.levelled[k]))[0])
    moved = beside.sides.once("moved bins", lambda sides: _most_moved(binned(sides)))
    return bin_moved(*moved[beside.row[k]])


def _most_moved(both: Binned) -> list[Moved]:
    before, after = both.bins.before / both.n, both.bins.after / both.m
    place = np.where(both.bins.used, np.abs(after - before), -1.0).argmax(axis=1)
    at = np.arange(len(place))
    number = both.bins.used.cumsum(axis=1)[at, place] - 1
    parts = (number, both.bins.count, before[at, place], after[at, place])
    return list(zip(*(part.tolist() for part in parts), strict=True))


def bin_moved(place: int, count: int, before: float, after: float) -> str:
    """The bin whose share moved most; bins are numbered from the lowest or most frequent.

    >>> bin_moved(0, 2, 0.5, 0.9)
    'bin 1 of 2: 50 % → 90 %'
    """
    return f"bin {place + 1} of {count}: {shares(before, after)}"


def ordered(both: Pair, *, relative: float | None = None) -> str:
    """How an ordered column moved: its median, else a tail, else the edge that separates the sides best.

    A hint at a change of unit is added only when all quantiles agree with it, and ``relative``, a distance
    in the column's units, in interquartile ranges of the reference.
    """
    text = both.sides.once(("words", both.row), lambda _: _told(both))
    width = spreads(both.sides)[both.row]
    return text + (
        f", {number(relative / width)} of the interquartile range" if relative and width > 0 else ""
    )


def _told(both: Pair) -> str:
    sides, row = both.sides, both.row
    before = before_quantiles(sides).of(row)
    after = sides.once("after", after_quantiles).of(row)
    width, moved = spreads(sides)[row], sides.once("moved", _moved)[row]
    at, name = MEDIAN, "median"
    if moved[MEDIAN] <= 0.1 * width:
        tail = _LOW if moved[_LOW] > moved[_HIGH] else _HIGH
        if moved[tail] > max(0.25 * width, 2 * moved[MEDIAN]):
            at, name = tail, "p5" if tail == _LOW else "p95"
        elif moved[MEDIAN] <= 0.02 * width and (edge := _edge(both)):
            return edge
    name += _MEASURE.get(both.column.kind, "")
    left, right = _values(both.column.kind, before, after, at, width)
    hint = _unit(both, before) if moved[MEDIAN] > 0.2 * width else ""
    return f"{name} {left} → {right}{hint}"


def _moved(sides: WindowCells) -> list[list[float]]:
    """How far each quantile moved; two equal ones did not, infinite ones neither."""
    before, after = before_quantiles(sides).value, sides.once("after", after_quantiles).value
    with np.errstate(invalid="ignore", over="ignore"):
        moved: list[list[float]] = np.where(before != after, np.abs(after - before), 0.0).tolist()
    return moved


def _values(kind: Kind, before: Quantiles, after: Quantiles, at: int, width: float) -> tuple[str, str]:
    pair = [float(before.value[at]), float(after.value[at])]
    if kind is Kind.DATETIME and all(math.isfinite(value) for value in pair):
        return _dates(pair[0], pair[1])
    left, right = number(pair[0]), number(pair[1])
    low, high = float(after.low[at]), float(after.high[at])
    if high - low > max(width, 0.0) and low < high:
        right = f"below {number(high)}" if math.isinf(low) else f"between {number(low)} and {number(high)}"
        right = f"above {number(low)}" if math.isinf(high) else right
    return left, right


def _dates(before: float, after: float) -> tuple[str, str]:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    try:
        moments = [epoch + timedelta(seconds=round(value)) for value in (before, after)]
    except OverflowError:
        return number(before), number(after)
    form = "%Y-%m-%d" if abs(after - before) > 2 * 86400 else "%Y-%m-%dT%H:%M:%SZ"
    return moments[0].strftime(form), moments[1].strftime(form)


def _edge(both: Pair) -> str:
    """The edge at which the two distribution functions lie furthest apart; empty when they are equal."""
    value, before, after, equal = both.sides.once("edge", _edges)[both.row]
    if equal:
        return ""
    shown = _dates(value, value + 3 * 86400)[0] if both.column.kind is Kind.DATETIME else number(value)
    subject = _MEASURE.get(both.column.kind, "").strip()
    return f"{subject} at or below {shown}: {shares(before, after)}".strip()


def _edges(sides: WindowCells) -> list[tuple[float, float, float, bool]]:
    """For each column that edge, the shares at or below it, and whether the sides are equal there."""
    if not sides.edges.shape[1]:
        return [(math.nan, 0.0, 0.0, True)] * len(sides.edges)
    found, (n, m) = apart(sides), sides.rows
    # As whole numbers: of two edges as far apart as each other the first is told.
    between = np.rint(found.sizes[0] * found.pairs[:, None])
    at, rows = between.argmax(axis=1), np.arange(len(between))
    parts = (
        sides.edges[rows, at],
        sides.reference_upto[rows, 2 * at + 1] / n[:, 0],
        sides.window_upto[rows, 2 * at + 1] / m[:, 0],
        between[rows, at] == 0,
    )
    return list(zip(*(part.tolist() for part in parts), strict=True))


def _unit(both: Pair, before: Quantiles) -> str:
    """``, looks like x1000`` when every quantile fits one known change of unit, or two."""
    if both.column.kind in (Kind.DATETIME, Kind.TEXT) or both.m < 50 or both.n < 50:
        return ""
    inner = before.value[1:-1]
    low, high = _band(both.edges, both.window.cumsum(), both.m)
    ref_low, ref_high = _band(both.edges, both.reference.cumsum(), both.n)
    usable = (inner != 0) & np.isfinite(low) & np.isfinite(high) & np.isfinite(ref_low + ref_high)
    if len(np.unique(inner[usable])) < 3:
        return ""
    low, high, ref_low, ref_high = (end[usable] for end in (low, high, ref_low, ref_high))
    with np.errstate(over="ignore"):
        ends = np.stack([ref_low, ref_high])[:, None, :] * _CHANGES[:, :1] + _CHANGES[:, 1:]
        sharp = bool((high - low).sum() <= 0.075 * np.abs(high + low).sum())
    fits = np.all((ends.min(axis=0) <= high) & (low <= ends.max(axis=0)), axis=1)
    if fits[0]:
        return ""
    # All rows in one wide gap: a factor of ten is as good a guess as five, or as an offset.
    vague = bool(np.all(low == low[0]) and np.all(high == high[0]))
    size = np.abs(np.log(_CHANGES[:, 0]))
    fits[1:] &= sharp | (size > np.log(50 if vague else 5))[1:]
    found = np.flatnonzero(fits)
    if not 1 <= len(found) <= 2:
        return ""
    return ", looks like " + " or ".join(_change(*_CHANGES[at].tolist()) for at in found)


def _band(edges: Float64Array, upto: Int64Array, rows: int) -> tuple[Float64Array, Float64Array]:
    """Where the inner quantiles may lie, for cells and for two standard errors."""
    inner = SHARES[1:-1]
    error = 2 * np.sqrt(inner * (1 - inner) / rows)
    low, high = np.maximum(inner - error, 0.0), np.minimum(inner + error, 1.0)
    own = np.array([len(edges)])
    found = [quantiles(edges[None], own, upto[None], ends) for ends in (low, high)]
    return found[0].low[0], found[1].high[0]


def _change(factor: float, offset: float) -> str:
    if offset:
        return "C turned into F" if offset > 0 else "F turned into C"
    size = max(factor, 1 / factor)
    return ("x" if factor > 1 else "x1/") + (f"{size:.0f}" if size > 5 else f"{size:.4g}")
