"""Lists the files that a path or glob names, locally or in an object store, without opening them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from driftwatch.core.settings import redact_credentials
from driftwatch.errors import SourceUnavailable
from driftwatch.sources._formats.file_formats import format_of
from driftwatch.sources._formats.partitions import Partitions, partitions_of

#: Whether a folder's partitions can hold requested rows.
Keep = Callable[[Partitions], bool]
Resolve = Callable[[str], tuple[Any, str]]
_WILDCARD = re.compile(r"[*?\[]")
#: Folders below a ``**``; deeper ones are a loop.
_MAX_DEPTH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    path: str
    #: Relative to the glob's root, and printable.
    name: str
    #: In bytes.
    size: int
    #: In nanoseconds since 1970 UTC.
    modified: int
    partitions: Partitions
    filesystem: Any = None
    #: Why the file cannot be opened.
    fault: str = ""
    #: False for a file that only lies in a named folder.
    named: bool = True
    #: Device and number of a local file: links to it have the same.
    inode: tuple[int, int] | None = None

    def open(self) -> pa.NativeFile:
        if self.filesystem is not None:
            return self.filesystem.open_input_file(self.path)
        # A Python file would need the GIL for every read and so wait for the threads that count.
        return pa.OSFile(os.fsencode(self.path), mode="r")


@dataclass(slots=True, kw_only=True)
class Listing:
    #: By path.
    entries: dict[str, Entry] = field(default_factory=dict)
    #: A folder was skipped because of its partitions.
    pruned: bool = False

    @property
    def empty(self) -> bool:
        return not self.entries and not self.pruned


def is_url(path: str) -> bool:
    return re.match(r"[a-z][a-z0-9+.-]*://", path) is not None


def list_files(paths: list[str], keep: Keep, resolve: Resolve) -> Listing:
    """List all files of ``paths``. Raises ``SourceUnavailable`` when a folder cannot be listed."""
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


def without_aliases(entries: Iterable[Entry]) -> list[Entry]:
    """Return each file once, by its own path rather than a link's; sorted by path."""
    files: dict[object, list[Entry]] = {}
    for entry in sorted(entries, key=lambda item: item.path):
        files.setdefault(entry.inode or entry.path, []).append(entry)
    chosen = [aliases[0] if len(aliases) == 1 else min(aliases, key=_is_link) for aliases in files.values()]
    return sorted(chosen, key=lambda item: item.path)


def _is_link(entry: Entry) -> bool:
    return os.path.realpath(entry.path) != os.path.abspath(entry.path)  # noqa: PTH100


def shown(text: str) -> str:
    """Return untrusted text on one line, with unprintable characters escaped.

    >>> shown("a\\nb")
    'a\\\\nb'
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def public(path: str) -> str:
    """Return a path or message without the credentials that object-store URLs can carry."""
    return shown(redact_credentials(path))


def _split(path: str) -> tuple[str, list[str]]:
    parts = path.split("/")
    first = next((place for place, part in enumerate(parts) if _WILDCARD.search(part)), len(parts))
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
    recursive = "**" in pattern
    walk = _Walk(keep=keep, root_parts=[part for part in root.split("/") if part])
    matches = walk.expand(root, pattern, ()) if pattern else iter([path] if os.path.lexists(path) else [])
    for item in matches:
        entry = _local_entry(item, root, walk.root_parts, named=named, recursive=recursive)
        if entry is not None and keep(entry.partitions):
            listing.entries.setdefault(item, entry)
        listing.pruned |= entry is not None and not keep(entry.partitions)
    listing.pruned |= walk.pruned


def _local_entry(
    path: str, root: str, root_parts: list[str], *, named: bool, recursive: bool
) -> Entry | None:
    # None for a folder, unless a flat glob matches it and it is named like a file.
    relative = os.path.relpath(path, root)
    fault = ""
    try:
        status = Path(path).stat()
    except OSError as error:
        # A dangling link is reported as a broken file; a file removed since the listing is skipped.
        if not Path(path).is_symlink():
            if isinstance(error, FileNotFoundError):
                return None
            raise
        status, fault = Path(path).lstat(), "expected a file. Got a link that leads to none."
    if stat.S_ISDIR(status.st_mode):
        if recursive or format_of(path) is None:
            return None
        fault = f"expected a file. Got a folder: name what is in it, as in {shown(relative)}/*."
    elif not fault and not stat.S_ISREG(status.st_mode):
        fault = "expected a regular file. Got a pipe, socket or device."
    return Entry(
        path=path,
        name=shown(relative),
        size=status.st_size,
        modified=status.st_mtime_ns,
        partitions=partitions_of([*root_parts, *relative.split("/")[:-1]]),
        fault=fault,
        named=named,
        inode=(status.st_dev, status.st_ino) if status.st_ino and not fault else None,
    )


@dataclass(slots=True, kw_only=True)
class _Walk:
    """Expands a glob; an unreadable folder is an error, and partitions that ``keep`` refuses are skipped."""

    keep: Keep
    root_parts: list[str]
    pruned: bool = False

    def expand(self, folder: str, parts: list[str], folders: tuple[str, ...]) -> Iterator[str]:
        """Yield paths under ``folder`` that match ``parts``; ``folders`` lead from the root to it."""
        head, rest = parts[0], parts[1:]
        if head == "**":
            yield from self.expand(folder, rest or ["*"], folders)
        elif not _WILDCARD.search(head):
            path = f"{folder.rstrip('/')}/{head}"
            if rest and Path(path).is_dir():
                yield from self._expand_folder(path, head, rest, folders)
            elif not rest and os.path.lexists(path):
                yield path
            return
        for item in _scan(folder):
            if head == "**":
                if _matches(item.name, "*") and _is_folder(item) and not _loops(item, len(folders)):
                    yield from self._expand_folder(item.path, item.name, parts, folders)
            elif _matches(item.name, head):
                if not rest:
                    yield item.path
                elif _is_folder(item):
                    yield from self._expand_folder(item.path, item.name, rest, folders)

    def _expand_folder(
        self, path: str, name: str, parts: list[str], folders: tuple[str, ...]
    ) -> Iterator[str]:
        folders = (*folders, name)
        if "=" in name and not self.keep(partitions_of([*self.root_parts, *folders])):
            self.pruned = True
            return
        yield from self.expand(path, parts, folders)


def _scan(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as items:
            return sorted(items, key=lambda item: item.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _matches(name: str, pattern: str) -> bool:
    """Match a name; one that begins with a dot or underscore needs a pattern that does too."""
    return (name[0] not in "._" or pattern[0] == name[0]) and fnmatchcase(name, pattern)


def _is_folder(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir()
    except OSError:  # a link to itself
        return False


def _loops(item: os.DirEntry[str], depth: int) -> bool:
    """Return True for a link to one of its own parents, which would count every row again."""
    if not item.is_symlink():
        return depth > _MAX_DEPTH
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
        infos = [info]
        base = base.rpartition("/")[0]
    elif info.type == pafs.FileType.Directory:
        infos = filesystem.get_file_info(pafs.FileSelector(base, recursive=True))
    else:
        return
    root_parts = [part for part in root.split("/") if part]
    for item in sorted(infos, key=lambda item: item.path):
        relative = item.path[len(base) :].lstrip("/")
        if item.type != pafs.FileType.File or not _fits(relative.split("/"), pattern or ["**", "*"]):
            continue
        partitions = partitions_of([*root_parts, *relative.split("/")[:-1]])
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
