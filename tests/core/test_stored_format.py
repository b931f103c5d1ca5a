"""Content of an older version is migrated step by step; newer or damaged content is refused."""

from __future__ import annotations

import numpy as np
import pytest

from driftwatch.core.codec import Arrays, pack, unpack
from driftwatch.core.stored_format import Header, StoredFormat
from driftwatch.errors import StoreError, StoreTooNew


def _with_unit(header: Header, arrays: Arrays) -> tuple[Header, Arrays]:
    return {**header, "unit": "s"}, arrays


def _doubled(header: Header, arrays: Arrays) -> tuple[Header, Arrays]:
    return {**header, "unit": header["unit"] * 2}, {name: 2 * array for name, array in arrays.items()}


PLAIN = StoredFormat(name="parcel", version=1)
MIGRATED = StoredFormat(name="parcel", version=3, migrations=(_with_unit, _doubled))


def test_a_format_without_migrations_writes_no_number() -> None:
    header, arrays = {"rows": 3}, {"cells": np.arange(3)}
    assert PLAIN.pack(header, arrays) == pack(header, arrays)
    assert PLAIN.unpack(pack({**header, "version": 1}, arrays))[0] == header


def test_content_takes_the_steps_from_its_version_on() -> None:
    arrays = {"cells": np.arange(3)}
    contents = [
        pack({}, arrays),
        pack({"unit": "h", "version": 2}, arrays),
        MIGRATED.pack({"unit": "m"}, arrays),
    ]
    migrated = [MIGRATED.unpack(content) for content in contents]
    assert [header for header, _ in migrated] == [{"unit": "ss"}, {"unit": "hh"}, {"unit": "m"}]
    assert [cells["cells"].tolist() for _, cells in migrated] == [[0, 2, 4], [0, 2, 4], [0, 1, 2]]
    assert unpack(contents[2])[0]["version"] == 3


@pytest.mark.parametrize(("stored", "newest"), [(PLAIN, 1), (MIGRATED, 3)])
def test_a_newer_version_is_refused_by_name(stored: StoredFormat, newest: int) -> None:
    text = f"stored parcel: expected version {newest} or older. Got {newest + 1}: a newer driftwatch wrote it"
    with pytest.raises(StoreTooNew, match=text):
        stored.unpack(pack({"version": newest + 1}, {}))


@pytest.mark.parametrize("number", [0, -1, "2", 1.0, True, None])
def test_what_is_no_number_of_a_version_is_damage(number: object) -> None:
    with pytest.raises(StoreError, match=r"from 1 to 3. Got .*damaged") as caught:
        MIGRATED.migrated({"version": number}, {})
    assert not isinstance(caught.value, StoreTooNew)
