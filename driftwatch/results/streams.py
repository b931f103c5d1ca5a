"""What evidence is drawn from in one window, of all columns together.

A column has a dozen numbers; an object for each would cost more than the arithmetic, so they are arrays here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.results.results import Score, Shares

StreamList = Sequence[Shares | Score]
#: One detector's streams on one column; None is all columns jointly. The label is empty for shares.
StreamKey = tuple[str, str | None, str]


def key_of(stream: Shares | Score) -> StreamKey:
    """The name a stream keeps over all windows."""
    return stream.detector, stream.column, stream.label if isinstance(stream, Score) else ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Streams:
    """Shares ``share_keys[k]``, whose ``labels[k]`` lie end to end, and scores ``score_keys[j]``.

    ``successes``, ``trials`` and ``reference[L]`` are as in ``Shares``, ``reference_trials[k]`` and
    ``bursts[k]`` and ``ordered[k]`` too; ``tolerance[k]`` is NaN where the usual one holds. ``value``,
    ``floor`` and ``signed[j]`` are as in ``Score``. ``looks`` are the (detector, column) that yielded any, in
    the order of the looks. Iterated over it gives the streams one by one.
    """

    looks: tuple[tuple[str, str | None], ...]
    share_keys: tuple[StreamKey, ...]
    labels: tuple[tuple[str, ...], ...]
    successes: Int64Array
    trials: Int64Array
    reference: Float64Array
    reference_trials: Int64Array
    tolerance: Float64Array
    bursts: BoolArray
    ordered: BoolArray
    score_keys: tuple[StreamKey, ...]
    value: Float64Array
    floor: Float64Array
    signed: BoolArray

    @classmethod
    def of(cls, streams: Iterable[Shares | Score]) -> Streams:
        """Of single ones, those of one detector on one column together."""
        every = list(streams)
        shares = [item for item in every if isinstance(item, Shares)]
        scores = [item for item in every if isinstance(item, Score)]
        none = np.empty(0, dtype=np.int64)
        return cls(
            looks=tuple(dict.fromkeys((item.detector, item.column) for item in every)),
            share_keys=tuple(map(key_of, shares)),
            labels=tuple(item.labels for item in shares),
            successes=np.concatenate([none, *(item.successes for item in shares)]),
            trials=np.concatenate([none, *(item.trials for item in shares)]),
            reference=np.concatenate([np.empty(0), *(item.reference for item in shares)]),
            reference_trials=np.array([item.reference_trials for item in shares], dtype=np.int64),
            tolerance=np.array(
                [np.nan if item.tolerance is None else item.tolerance for item in shares], dtype=np.float64
            ),
            bursts=np.array([item.bursts for item in shares], dtype=np.bool_),
            ordered=np.array([item.ordered for item in shares], dtype=np.bool_),
            score_keys=tuple(map(key_of, scores)),
            value=np.array([item.value for item in scores], dtype=np.float64),
            floor=np.array([item.floor for item in scores], dtype=np.float64),
            signed=np.array([item.signed for item in scores], dtype=np.bool_),
        )

    @classmethod
    def joined(cls, parts: Sequence[Streams], room: dict[Hashable, Any] | None = None) -> Streams:
        """Of several detectors, or of one on further columns.

        In the ``room`` of what they are held against their names are put together once, not in every window.
        """
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls.of(())
        own = [(part.looks, part.share_keys, part.labels, part.score_keys) for part in parts]
        last = None if room is None else room.get("names")
        if last is None or last[0] != own:
            last = own, [tuple(chain.from_iterable(names)) for names in zip(*own, strict=True)]
        if room is not None:
            room["names"] = last
        looks, share_keys, labels, score_keys = last[1]
        return cls(
            looks=looks,
            share_keys=share_keys,
            labels=labels,
            successes=np.concatenate([part.successes for part in parts]),
            trials=np.concatenate([part.trials for part in parts]),
            reference=np.concatenate([part.reference for part in parts]),
            reference_trials=np.concatenate([part.reference_trials for part in parts]),
            tolerance=np.concatenate([part.tolerance for part in parts]),
            bursts=np.concatenate([part.bursts for part in parts]),
            ordered=np.concatenate([part.ordered for part in parts]),
            score_keys=score_keys,
            value=np.concatenate([part.value for part in parts]),
            floor=np.concatenate([part.floor for part in parts]),
            signed=np.concatenate([part.signed for part in parts]),
        )

    @property
    def sizes(self) -> Int64Array:
        """How many labels each share stream has."""
        return np.array([len(labels) for labels in self.labels], dtype=np.int64)

    def __iter__(self) -> Iterator[Shares | Score]:
        scores: dict[tuple[str, str | None], list[Score]] = {}
        told = zip(
            self.score_keys, self.value.tolist(), self.floor.tolist(), self.signed.tolist(), strict=True
        )
        for (detector, column, label), value, floor, signed in told:
            one = Score(
                detector=detector, column=column, label=label, value=value, floor=floor, signed=signed
            )
            scores.setdefault((detector, column), []).append(one)
        shares = {(item.detector, item.column): item for item in self._shares()}
        for look in self.looks:
            if look in shares:
                yield shares[look]
            yield from scores.get(look, ())

    def _shares(self) -> Iterator[Shares]:
        end = 0
        for k, ((detector, column, _), labels) in enumerate(zip(self.share_keys, self.labels, strict=True)):
            here, own = slice(end, end + len(labels)), float(self.tolerance[k])
            end = here.stop
            yield Shares(
                detector=detector,
                column=column,
                labels=labels,
                successes=self.successes[here],
                trials=self.trials[here],
                reference=self.reference[here],
                reference_trials=int(self.reference_trials[k]),
                tolerance=None if own != own else own,
                bursts=bool(self.bursts[k]),
                ordered=bool(self.ordered[k]),
            )
