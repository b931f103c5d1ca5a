"""Streams of one window: the shares and scores from which evidence is computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.core.memo import NO_MEMO, Memo
from driftwatch.results.results import Score, Shares

StreamList = Sequence[Shares | Score]
#: Label of a score that says how far the column as a whole moved up or down; such scores make the common
#: shift and have a larger part of the budget.
LOCATION = "location"
#: (detector, column or None for all columns jointly, label of a score or "" for a share stream).
StreamKey = tuple[str, str | None, str]
#: Begins the name that stands for a joint detector among column names.
JOINT_PREFIX = "joint:"


def joint_owner(detector: str) -> str:
    """Return the name that stands for a joint detector among column names.

    >>> joint_owner("mmd")
    'joint:mmd'
    """
    return f"{JOINT_PREFIX}{detector}"


def stream_key(stream: Shares | Score) -> StreamKey:
    """Return (detector, column, label), which identifies a stream in every window."""
    return stream.detector, stream.column, stream.label if isinstance(stream, Score) else ""


# Arrays, because a column has a dozen numbers: an object for each would cost more than the arithmetic.
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Streams:
    """All share and score streams of a window, as arrays; iteration yields ``Shares`` and ``Score``."""

    #: Each (detector, column) that has a stream, in the order of the detectors.
    targets: tuple[tuple[str, str | None], ...]
    share_keys: tuple[StreamKey, ...]
    #: ``labels[k]`` are those of share stream k. ``successes``, ``trials`` and ``reference`` have one entry
    #: per label, concatenated over the share streams; the next four arrays have one per share stream.
    labels: tuple[tuple[str, ...], ...]
    successes: Int64Array
    trials: Int64Array
    reference: Float64Array
    reference_trials: Int64Array
    #: NaN stands for the configured tolerance.
    tolerance: Float64Array
    bursts: BoolArray
    ordered: BoolArray
    #: ``score_keys[j]`` is the key of score j; the next three arrays have one entry per score.
    score_keys: tuple[StreamKey, ...]
    value: Float64Array
    floor: Float64Array
    signed: BoolArray

    @classmethod
    def from_list(cls, streams: Iterable[Shares | Score]) -> Streams:
        all_streams = list(streams)
        shares = [item for item in all_streams if isinstance(item, Shares)]
        scores = [item for item in all_streams if isinstance(item, Score)]
        empty = np.empty(0, dtype=np.int64)
        return cls(
            targets=tuple(dict.fromkeys((item.detector, item.column) for item in all_streams)),
            share_keys=tuple(map(stream_key, shares)),
            labels=tuple(item.labels for item in shares),
            successes=np.concatenate([empty, *(item.successes for item in shares)]),
            trials=np.concatenate([empty, *(item.trials for item in shares)]),
            reference=np.concatenate([np.empty(0), *(item.reference for item in shares)]),
            reference_trials=np.array([item.reference_trials for item in shares], dtype=np.int64),
            tolerance=np.array(
                [np.nan if item.tolerance is None else item.tolerance for item in shares], dtype=np.float64
            ),
            bursts=np.array([item.bursts for item in shares], dtype=np.bool_),
            ordered=np.array([item.ordered for item in shares], dtype=np.bool_),
            score_keys=tuple(map(stream_key, scores)),
            value=np.array([item.value for item in scores], dtype=np.float64),
            floor=np.array([item.floor for item in scores], dtype=np.float64),
            signed=np.array([item.signed for item in scores], dtype=np.bool_),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Streams], memo: Memo = NO_MEMO) -> Streams:
        """Join the streams of several detectors; with a ``memo``, names are joined once for all windows."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls.from_list(())
        names = tuple((part.targets, part.share_keys, part.labels, part.score_keys) for part in parts)
        targets, share_keys, labels, score_keys = memo.last(
            "stream names",
            (names,),
            lambda: [tuple(chain.from_iterable(group)) for group in zip(*names, strict=True)],
        )
        return cls(
            targets=targets,
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

    def shares_only(self) -> Streams:
        targets = {key[:2] for key in self.share_keys}
        return replace(
            self,
            targets=tuple(target for target in self.targets if target in targets),
            score_keys=(),
            value=self.value[:0],
            floor=self.floor[:0],
            signed=self.signed[:0],
        )

    @property
    def sizes(self) -> Int64Array:
        """Number of labels of each share stream."""
        return np.array([len(labels) for labels in self.labels], dtype=np.int64)

    def __iter__(self) -> Iterator[Shares | Score]:
        scores: dict[tuple[str, str | None], list[Score]] = {}
        score_rows = zip(
            self.score_keys, self.value.tolist(), self.floor.tolist(), self.signed.tolist(), strict=True
        )
        for (detector, column, label), value, floor, signed in score_rows:
            score = Score(
                detector=detector, column=column, label=label, value=value, floor=floor, signed=signed
            )
            scores.setdefault((detector, column), []).append(score)
        shares = {(item.detector, item.column): item for item in self._shares()}
        for target in self.targets:
            if target in shares:
                yield shares[target]
            yield from scores.get(target, ())

    def _shares(self) -> Iterator[Shares]:
        end = 0
        for k, ((detector, column, _), labels) in enumerate(zip(self.share_keys, self.labels, strict=True)):
            positions, tolerance = slice(end, end + len(labels)), float(self.tolerance[k])
            end = positions.stop
            yield Shares(
                detector=detector,
                column=column,
                labels=labels,
                successes=self.successes[positions],
                trials=self.trials[positions],
                reference=self.reference[positions],
                reference_trials=int(self.reference_trials[k]),
                tolerance=None if tolerance != tolerance else tolerance,
                bursts=bool(self.bursts[k]),
                ordered=bool(self.ordered[k]),
            )
