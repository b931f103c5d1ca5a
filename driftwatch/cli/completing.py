"""What a shell is offered for values that stand in the store: windows and incidents, newest first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from driftwatch.cli.options import config_of
from driftwatch.errors import DriftwatchError

if TYPE_CHECKING:
    from driftwatch.store.database import Database

#: Windows that are offered: more is no choice.
_MOST = 30


def window_ends(context: click.Context, _option: click.Parameter, begun: str) -> list[CompletionItem]:
    """Ends of the newest stored windows of the monitor on the line, each with its state."""
    from driftwatch import words
    from driftwatch.store.browsing import Browsing

    monitor, segment = _written(context, "monitor"), _written(context, "segment")
    with _store(context) as database:
        if monitor is None or database is None:
            return []
        found = Browsing(database).windows(monitor, segment, limit=_MOST)
    said = {str(state): told for state, told in words.STATE_WORDS.items()}
    items = [CompletionItem(_shown(item.end), help=said.get(item.state)) for item in found]
    return [item for item in items if item.value.startswith(begun)]


def incident_keys(context: click.Context, _option: click.Parameter, begun: str) -> list[CompletionItem]:
    """Keys of the open incidents of the monitor on the line, each with its columns."""
    from driftwatch import words
    from driftwatch.store.history import History
    from driftwatch.summary.naming import listed_words

    monitor = _written(context, "monitor")
    with _store(context) as database:
        if monitor is None or database is None:
            return []
        found = History(database).incidents(monitor)
    return [
        CompletionItem(item.key, help=words.visible(", ".join(listed_words(item.columns))[:60]) or item.kind)
        for item in reversed(found)
        if item.key.startswith(begun)
    ]


def _shown(end: int) -> str:
    """A bare day where that is enough: bash breaks words at colons."""
    from driftwatch.summary.schema import iso

    return iso(end).removesuffix("T00:00:00Z")


def _written(context: click.Context, option: str) -> str | None:
    """An option's value on the line, also where click left the words unparsed."""
    known = context.params.get(option)
    if known is not None:
        return str(known)
    for word, following in zip(context.args, [*context.args[1:], None], strict=True):
        if word == f"--{option}":
            return following
        if word.startswith(f"--{option}="):
            return word.partition("=")[2]
    return None


@contextmanager
def _store(context: click.Context) -> Iterator[Database | None]:
    """The history of the configuration on the line, only read; None where there is none."""
    from driftwatch.store.database import Database

    config = config_of(context)
    if config is None:
        yield None
        return
    try:
        database = Database(config.storage.path, read_only=True)
    except DriftwatchError:
        yield None
        return
    try:
        yield database
    finally:
        database.close()
