"""What streams are called, and who they speak for."""

from __future__ import annotations

from driftwatch.summary.result import Score, Shares

Stream = Shares | Score
#: One detector's streams on one column; None is all columns jointly. The label is empty for shares.
StreamKey = tuple[str, str | None, str]
#: The score of all columns together, made of the others' scores.
TOGETHER: StreamKey = ("together", None, "together")
#: That of a direction in which many columns move.
DIRECTION: StreamKey = ("together", None, "direction")
#: The score of how many rows there are, the log of a ratio.
VOLUME: StreamKey = ("volume", None, "volume")


def key_of(stream: Stream) -> StreamKey:
    """The name a stream keeps over all windows."""
    return stream.detector, stream.column, stream.label if isinstance(stream, Score) else ""


def owner(stream: Stream) -> str:
    """Who the stream speaks for: its column, or the joint detector itself."""
    return owner_of(key_of(stream))


def owner_of(key: StreamKey) -> str:
    """Who the streams of that name speak for."""
    return joint_owner(key[0]) if key[1] is None else key[1]


def joint_owner(detector: str) -> str:
    """The name a joint detector goes by among columns.

    >>> joint_owner("mmd")
    'joint:mmd'
    """
    return f"joint:{detector}"
