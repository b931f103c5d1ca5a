"""Which files a path or glob names, on this machine or in an object store. Nothing is opened here."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from driftwatch.core.settings import without_credentials
from driftwatch.errors import SourceUnavailable
from driftwatch.sources._formats.file_formats import format_of
from driftwatch.sources._formats.partitions import Partitions, partitions_of

#: Whether a folder's partitions can hold rows that are asked for.
Keep = Callable[[Partitions], bool]
Resolve = Callable[[str], tuple[Any, str]]
_MAGIC = re.compile(r"[*?\[]")
_DEEPEST = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file. ``name`` is relative to the glob's root and printable; ``size`` is in bytes.

    ``modified`` is nanoseconds since 1970 UTC. ``fault`` says why it is no file that can be opened; ``named``
    is False for files that only lie in a folder that was named.
    """

    path: str
    name: str
    size: int
    modified: int
    partitions: Partitions
    filesystem: Any = None
    fault: str = ""
    named: bool = True

    def open(self) -> pa.NativeFile:
        """The file's bytes, seekable."""
        if self.filesystem is not None:
            return self.filesystem.open_input_file(self.path)
        # Not a Python file, whose every read would wait for the interpreter, and so for those who count.
        return pa.OSFile(os.fsencode(self.path), mode="r")


@dataclass(slots=True, kw_only=True)
class Listing:
    """Files by path, and whether any folder was passed over because of its partitions."""

    entries: dict[str, Entry] = field(default_factory=dict)
    pruned: bool = False

    @property
    def empty(self) -> bool:
        """True when the paths name nothing at all."""
        return not self.entries and not self.pruned


def is_url(path: str) -> bool:
    """True for ``scheme://...``."""
    return re.match(r"[a-z][a-z0-9+.-]*://", path) is not None


def list_files(paths: list[str], keep: Keep, resolve: Resolve) -> Listing:
    """All files that ``paths`` name. Raises ``SourceUnavailable`` when a folder cannot be listed."""
    listing = Listing()
    for path in paths:
        try:
            if is_url(path):
                _list_remote(path, keep, resolve, listing)
            else:
                _list_local(str(Path(path).expanduser()), keep, listing)
        except (OSError, pa.ArrowException) as error:
            reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
            raise SourceUnavailable(
                f"{public(path)}: expected a folder that can be listed. Got {public(reason)[:300]}. "
                "Check that it is mounted and that driftwatch may read it."
            ) from error
    return listing


def shown(text: str) -> str:
    """Text from outside, on one line and printable.

    >>> shown("a\\nb")
    'a\\\\nb'
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def public(path: str) -> str:
    """A path or what is said of one, as it may be shown: object-store URLs can carry keys."""
    return shown(without_credentials(path))


def _split(path: str) -> tuple[str, list[str]]:
    """The part without wildcards, and the components after it."""
    parts = path.split("/")
    first = next((place for place, part in enumerate(parts) if _MAGIC.search(part)), len(parts))
    return "/".join(parts[:first]) or ("/" if path.startswith("/") else "."), [p for p in parts[first:] if p]


def _list_local(path: str, keep: Keep, listing: Listing) -> None:
    root, pattern = _split(path)
    named = True
    if not pattern or os.path.lexists(path):
        root, pattern = path.rstrip("/") or "/", []
        if Path(path).is_dir():
            pattern, named = ["**", "*"], False
        else:
            root = str(Path(path).parent)
    inside = "**" in pattern
    walk = _Walk(keep=keep, given=[part for part in root.split("/") if part])
    found = walk.expand(root, pattern, ()) if pattern else iter([path] if os.path.lexists(path) else [])
    for item in found:
        entry = _local_entry(item, root, walk.given, named=named, inside=inside)
        if entry is not None and keep(entry.partitions):
            listing.entries.setdefault(item, entry)
        listing.pruned |= entry is not None and not keep(entry.partitions)
    listing.pruned |= walk.pruned


def _local_entry(path: str, root: str, given: list[str], *, named: bool, inside: bool) -> Entry | None:
    """What lies at a path; nothing for a folder, unless its name is a file's and nobody looks ``inside``."""
    relative = os.path.relpath(path, root)
    fault = ""
    try:
        status = Path(path).stat()
    except OSError as error:
        # A link says that there should be a file; what was removed since it was listed does not.
        if not Path(path).is_symlink():
            if isinstance(error, FileNotFoundError):
                return None
            raise
        status, fault = Path(path).lstat(), "expected a file. Got a link that leads to none."
    if stat.S_ISDIR(status.st_mode):
        if inside or format_of(path) is None:
            return None
        fault = f"expected a file. Got a folder: name what is in it, as in {shown(relative)}/*."
    elif not fault and not stat.S_ISREG(status.st_mode):
        fault = "expected a regular file. Got a pipe, socket or device."
    return Entry(
        path=path,
        name=shown(relative),
        size=status.st_size,
        modified=status.st_mtime_ns,
        partitions=partitions_of([*given, *relative.split("/")[:-1]]),
        fault=fault,
        named=named,
    )


@dataclass(slots=True, kw_only=True)
class _Walk:
    """Expands a glob. It fails on a folder it may not read, and passes over partitions."""

    keep: Keep
    given: list[str]
    pruned: bool = False

    def expand(self, folder: str, parts: list[str], below: tuple[str, ...]) -> Iterator[str]:
        """Paths under ``folder`` that match ``parts``; ``below`` are the folders from the root down."""
        head, rest = parts[0], parts[1:]
        if head == "**":
            yield from self.expand(folder, rest or ["*"], below)
        elif not _MAGIC.search(head):
            path = f"{folder.rstrip('/')}/{head}"
            if rest and Path(path).is_dir():
                yield from self._into(path, head, rest, below)
            elif not rest and os.path.lexists(path):
                yield path
            return
        for item in _scan(folder):
            if head == "**":
                if _matches(item.name, "*") and _is_folder(item) and not _loops(item, len(below)):
                    yield from self._into(item.path, item.name, parts, below)
            elif _matches(item.name, head):
                if not rest:
                    yield item.path
                elif _is_folder(item):
                    yield from self._into(item.path, item.name, rest, below)

    def _into(self, path: str, name: str, parts: list[str], below: tuple[str, ...]) -> Iterator[str]:
        below = (*below, name)
        if "=" in name and not self.keep(partitions_of([*self.given, *below])):
            self.pruned = True
            return
        yield from self.expand(path, parts, below)


def _scan(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as items:
            return sorted(items, key=lambda item: item.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _matches(name: str, pattern: str) -> bool:
    """Names that begin with a dot or an underscore are other programs' notes unless asked for."""
    return (name[0] not in "._" or pattern[0] == name[0]) and fnmatchcase(name, pattern)


def _is_folder(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir()
    except OSError:  # a link to itself
        return False


def _loops(item: os.DirEntry[str], depth: int) -> bool:
    """A link to a folder it lies in would count every row again."""
    if not item.is_symlink():
        return depth > _DEEPEST
    real = os.path.realpath(item.path)
    return f"{os.path.realpath(Path(item.path).parent)}/".startswith(f"{real}/")


def _list_remote(url: str, keep: Keep, resolve: Resolve, listing: Listing) -> None:
    scheme, _, rest = url.partition("://")
    query = re.search(r"\?[a-z_]+=[^/]*$", rest)
    options = query[0] if query else ""
    root, pattern = _split(rest.removesuffix(options))
    filesystem, base = resolve(f"{scheme}://{root}{options}")
    info = filesystem.get_file_info(base)
    if info.type == pafs.FileType.File:
        found = [info]
        base = base.rpartition("/")[0]
    elif info.type == pafs.FileType.Directory:
        found = filesystem.get_file_info(pafs.FileSelector(base, recursive=True))
    else:
        return
    given = [part for part in root.split("/") if part]
    for item in sorted(found, key=lambda item: item.path):
        relative = item.path[len(base) :].lstrip("/")
        if item.type != pafs.FileType.File or not _fits(relative.split("/"), pattern or ["**", "*"]):
            continue
        partitions = partitions_of([*given, *relative.split("/")[:-1]])
        if not keep(partitions):
            listing.pruned = True
            continue
        listing.entries[f"{scheme}://{item.path}"] = Entry(
            path=item.path,
            name=shown(relative),
            size=item.size or 0,
            modified=item.mtime_ns or 0,
            partitions=partitions,
            filesystem=filesystem,
            named=bool(pattern) or info.type == pafs.FileType.File,
        )


def _fits(names: list[str], pattern: list[str]) -> bool:
    if not pattern or not names:
        return not pattern and not names
    if pattern[0] == "**":
        rest = pattern[1:] or ["*"]
        return _fits(names, rest) or (_matches(names[0], "*") and _fits(names[1:], pattern))
    return _matches(names[0], pattern[0]) and _fits(names[1:], pattern[1:])
