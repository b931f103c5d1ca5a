"""The counts of all columns, end to end in one array, so that tiles add in one step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from driftwatch.core.arrays import Int64Array
from driftwatch.errors import SummaryMismatch
from driftwatch.summary.counts import SPECIAL, Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """Which columns' cells lie end to end, and how many each has."""

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    _places: dict[str, tuple[int, int, int]] = field(
        init=False, default_factory=dict, compare=False, repr=False
    )
    _begins: list[Int64Array] = field(init=False, default_factory=list, compare=False, repr=False)

    @property
    def places(self) -> Mapping[str, tuple[int, int, int]]:
        """The row of each column, and where its cells begin and end. Few who add tiles ask."""
        if not self._places:
            ends = list(accumulate(self.sizes))
            spans = zip(range(len(ends)), [0, *ends], ends, strict=False)
            # In one step: another thread sees none of them or all.
            self._places.update(dict(zip(self.names, spans, strict=True)))
        return self._places

    def of_each(self, reduce: np.ufunc, cells: Int64Array) -> Int64Array:
        """What the cells of each column come to."""
        if not self.sizes:
            return np.empty(0, dtype=np.int64)
        if not self._begins:
            each = np.array(self.sizes)
            self._begins.append(np.cumsum(each) - each)
        return np.asarray(reduce.reduceat(cells, self._begins[0]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColumnCounts(Mapping[str, Counts]):
    """``Counts`` by column name; ``cells`` of all columns and ``special[column]`` in the layout's order.

    Adds as ``Counts`` does: exactly, in any order. Raises ``SummaryMismatch`` on other columns or cells.
    """

    layout: _Layout
    cells: Int64Array
    special: Int64Array

    @classmethod
    def of(cls, counts: Mapping[str, Counts]) -> ColumnCounts:
        """The counts of any mapping."""
        if isinstance(counts, ColumnCounts):
            return counts
        none = np.empty(0, dtype=np.int64)
        return cls.joined(
            list(counts),
            [len(item.cells) for item in counts.values()],
            np.concatenate([none, *(item.cells for item in counts.values())]),
            np.concatenate([none, *(item.special for item in counts.values())]).reshape(-1, len(SPECIAL)),
        )

    @classmethod
    def joined(
        cls, names: Sequence[str], sizes: Sequence[int], cells: Int64Array, special: Int64Array
    ) -> ColumnCounts:
        """Columns of so many cells each, whose counts lie end to end."""
        return cls(layout=_Layout(names=tuple(names), sizes=tuple(sizes)), cells=cells, special=special)

    def __getitem__(self, name: str) -> Counts:
        row, begin, end = self.layout.places[name]
        return Counts(cells=self.cells[begin:end], special=self.special[row])

    def places(self, names: tuple[str, ...]) -> Int64Array:
        """The rows of ``special`` of these columns. Raises ``KeyError`` for one that is not there."""
        if names == self.layout.names:
            return np.arange(len(names))
        places = self.layout.places
        return np.array([places[name][0] for name in names], dtype=np.int64)

    def spread(self, names: Iterable[str], width: int) -> Int64Array:
        """Where the cells of these columns stand, ``[k, width]``; behind the last of all where one has fewer.

        Raises ``KeyError`` for a column that is not there.
        """
        spans = [self.layout.places[name] for name in names]
        found = np.full((len(spans), width), len(self.cells), dtype=np.int64)
        for place, (_, begin, end) in zip(found, spans, strict=True):
            place[: end - begin] = np.arange(begin, end)
        return found

    def upto(self, places: Int64Array) -> Int64Array:
        """Cumulative sums ``[k, width]`` of the cells of the columns that were ``spread``."""
        found: Int64Array = np.append(self.cells, 0).take(places)
        np.cumsum(found, axis=1, out=found)
        return found

    def present(self) -> Int64Array:
        """Rows with a usable value of every column, in the layout's order."""
        return self.layout.of_each(np.add, self.cells)

    def fullest(self) -> Int64Array:
        """Rows in the fullest cell of every column, in the layout's order."""
        return self.layout.of_each(np.maximum, self.cells)

    def __iter__(self) -> Iterator[str]:
        return iter(self.layout.names)

    def __len__(self) -> int:
        return len(self.layout.names)

    def __add__(self, other: ColumnCounts) -> ColumnCounts:
        self._check(other)
        return ColumnCounts(
            layout=self.layout, cells=self.cells + other.cells, special=self.special + other.special
        )

    def __sub__(self, other: ColumnCounts) -> ColumnCounts:
        self._check(other)
        return ColumnCounts(
            layout=self.layout, cells=self.cells - other.cells, special=self.special - other.special
        )

    @classmethod
    def total(cls, parts: Sequence[ColumnCounts], less: Sequence[ColumnCounts] = ()) -> ColumnCounts:
        """The sum of one or more, without those that are ``less``."""
        first, cells, special = parts[0], parts[0].cells.copy(), parts[0].special.copy()
        for part in (*parts[1:], *less):
            first._check(part)
        for part in parts[1:]:
            cells += part.cells
            special += part.special
        for part in less:
            cells -= part.cells
            special -= part.special
        return cls(layout=first.layout, cells=cells, special=special)

    def _check(self, other: ColumnCounts) -> None:
        if self.layout is not other.layout and self.layout != other.layout:
            raise SummaryMismatch(
                f"counts of {len(self.cells)} cells of {len(self)} columns cannot be combined with counts of "
                f"{len(other.cells)} cells of {len(other)}: expected the same columns and cells."
            )


def specials(counts: Mapping[str, Counts], names: tuple[str, ...]) -> Int64Array:
    """``special[k]`` of these columns. Raises ``KeyError`` for one that is not there."""
    if isinstance(counts, ColumnCounts):
        return counts.special[counts.places(names)]
    return np.array([counts[name].special for name in names], dtype=np.int64).reshape(-1, len(SPECIAL))
