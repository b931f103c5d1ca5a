"""Versions of stored formats: older content is migrated, newer content is refused by name.

A change that older code would misread makes a new version: append a migration, and an empty step to the
database schema, so that an older driftwatch refuses the store when it opens it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from driftwatch.core.codec import Arrays, pack, unpack
from driftwatch.errors import StoreError, StoreTooNew

Header = dict[str, Any]
#: Takes content of one version to the next, and leaves its arguments as they are.
Migration = Callable[[Header, Arrays], tuple[Header, Arrays]]
_KEY = "version"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFormat:
    #: As in errors.
    name: str
    version: int
    #: One per step, oldest first. The first one begins with content that carries no number.
    migrations: tuple[Migration, ...] = ()

    def pack(self, header: Mapping[str, Any], arrays: Arrays, *, level: int = 1) -> bytes:
        """Encode content as ``codec.pack`` does, with its version."""
        return pack(self.numbered(header), arrays, level=level)

    def unpack(self, data: bytes) -> tuple[Header, Arrays]:
        """Decode content and migrate it. Raises ``StoreTooNew``, and ``StoreError`` for other bytes."""
        return self.migrated(*unpack(data))

    def numbered(self, header: Mapping[str, Any]) -> Header:
        # Without migrations, no number is version 1.
        return {**header, _KEY: self.version} if self.migrations else dict(header)

    def migrated(self, header: Mapping[str, Any], arrays: Arrays) -> tuple[Header, Arrays]:
        """Return content of the newest version, without the number. Raises ``StoreTooNew``."""
        unnumbered = self.version - len(self.migrations)
        version = header.get(_KEY, unnumbered)
        if type(version) is not int or version < unnumbered:
            raise StoreError(
                f"stored {self.name}: expected a version from {unnumbered} to {self.version}. "
                f"Got {version!r}. The store is damaged."
            )
        if version > self.version:
            raise StoreTooNew(
                f"stored {self.name}: expected version {self.version} or older. Got {version}: a newer "
                "driftwatch wrote it. Install that version; or go back to a backup of this one with "
                "`driftwatch store restore`, or use another storage.path."
            )
        content = {name: value for name, value in header.items() if name != _KEY}, arrays
        for migrate in self.migrations[version - unnumbered :]:
            content = migrate(*content)
        return content
