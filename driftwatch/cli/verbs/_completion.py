"""What a shell is offered for values that stand in the store: windows and incidents, newest first."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

import click
from click.shell_completion import CompletionItem

from driftwatch.cli.verbs._options import config_of
from driftwatch.errors import DriftwatchError

if TYPE_CHECKING:
    from driftwatch.store.database import Database

T = TypeVar("T")

#: Windows that are offered: more is no choice.
_MOST = 30


def window_ends(context: click.Context, _option: click.Parameter, begun: str) -> list[CompletionItem]:
    """Ends of the newest stored windows of the monitor on the line, each with its state."""
    from driftwatch.results import words
    from driftwatch.store.browsing import Browsing

    monitor, segment = _written(context, "monitor"), _written(context, "segment")
    if monitor is None:
        return []
    found = _found(context, lambda store: Browsing(store).windows(monitor, segment, limit=_MOST))
    said = {str(state): told for state, told in words.STATE_WORDS.items()}
    items = [CompletionItem(_shown(item.end), help=said.get(item.state)) for item in found]
    return [item for item in items if item.value.startswith(begun)]


def incident_keys(context: click.Context, _option: click.Parameter, begun: str) -> list[CompletionItem]:
    """Keys of the open incidents of the monitor on the line, each with its columns."""
    from driftwatch.results import words
    from driftwatch.results.names import listed_words
    from driftwatch.store.history import History

    monitor = _written(context, "monitor")
    if monitor is None:
        return []
    found = _found(context, lambda store: History(store).incidents(monitor))
    return [
        CompletionItem(item.key, help=words.visible(", ".join(listed_words(item.columns))[:60]) or item.kind)
        for item in reversed(found)
        if item.key.startswith(begun)
    ]


def _shown(end: int) -> str:
    """A bare day where that is enough: bash breaks words at colons."""
    from driftwatch.core.schema import iso

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


def _found(context: click.Context, look: Callable[[Database], list[T]]) -> list[T]:
    """What the history of the configuration on the line has, only read; nothing where it cannot be."""
    from driftwatch.store.database import Database

    config = config_of(context)
    if config is None:
        return []
    try:
        with closing(Database(config.storage.path, read_only=True)) as database:
            return look(database)
    except DriftwatchError:
        return []
