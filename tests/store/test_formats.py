"""Every stored format carries a version: older content is read, newer content is refused."""

from __future__ import annotations

import ast
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from record_early_stores import COMMITS, MIN_ROWS, early_store
from release_fixture import unpack_release

from driftwatch.core.codec import Arrays, pack, unpack
from driftwatch.core.stored_format import StoredFormat
from driftwatch.decide.baseline.score_history import SCORE_ARRAYS
from driftwatch.decide.baseline.share_history import SHARE_ARRAYS
from driftwatch.decide.state_codec import MIGRATIONS as STATE_MIGRATIONS
from driftwatch.decide.state_codec import SEGMENT_STATE, VERSION, decode, encode
from driftwatch.errors import StoreDamaged, StoreError, StoreTooNew, StoreUnusable
from driftwatch.monitor.selftest import TRIAL, decode_trial, encode_trial
from driftwatch.results.stored_verdict import VERDICT, verdict_from_json, verdict_to_json
from driftwatch.store.database import Database
from driftwatch.store.history import History
from driftwatch.store.migrations import MIGRATIONS
from driftwatch.store.outbox import MESSAGE, message_from_json, message_to_json
from driftwatch.summary.serial import (
    PLAN,
    REFERENCE,
    SUMMARY,
    decode_plan,
    decode_reference,
    decode_summary,
    encode_reference,
    encode_summary,
)

PACKAGE = Path(__file__).parents[2] / "driftwatch"
FORMATS = (PLAN, SUMMARY, REFERENCE, SEGMENT_STATE, TRIAL, VERDICT, MESSAGE)
#: Versions of all formats that a store of each schema holds. An entry is never edited.
VERSIONS: Mapping[int, Mapping[str, int]] = {
    4: {
        "plan": 1,
        "summary": 1,
        "reference": 1,
        "segment state": 1,
        "trial of a self-test": 1,
        "verdict": 1,
        "message": 1,
    },
    5: {
        "plan": 1,
        "summary": 1,
        "reference": 1,
        "segment state": 1,
        "trial of a self-test": 1,
        "verdict": 1,
        "message": 1,
    },
    6: {
        "plan": 1,
        "summary": 1,
        "reference": 1,
        "segment state": 2,
        "trial of a self-test": 1,
        "verdict": 1,
        "message": 1,
    },
}
#: The early stores whose segment states 0.1.0 reads, by what these have not yet.
LOST, *READABLE = COMMITS


#: Tables whose content is packed, with the round trip of their blobs.
ROUND_TRIPS: Mapping[str, tuple[StoredFormat, Callable[[bytes], bytes]]] = {
    "tiles.content": (SUMMARY, lambda blob: encode_summary(decode_summary(blob))),
    "blocks.content": (SUMMARY, lambda blob: encode_summary(decode_summary(blob))),
    "reference_versions.content": (REFERENCE, lambda blob: encode_reference(decode_reference(blob))),
    "tracks.content": (SEGMENT_STATE, lambda blob: encode(decode(blob))),
    "checkpoints.content": (SEGMENT_STATE, lambda blob: encode(decode(blob))),
    "beginnings.content": (SEGMENT_STATE, lambda blob: encode(decode(blob))),
    "selftests.trial": (TRIAL, lambda blob: encode_trial(decode_trial(blob))),
}


def values(folder: Path, column: str) -> list[Any]:
    """The values of ``table.column`` that are there."""
    table, _, name = column.partition(".")
    with closing(sqlite3.connect(folder / "driftwatch.sqlite")) as store:
        return [value for (value,) in store.execute(f"SELECT {name} FROM {table}") if value is not None]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of 0.1.0, whose content carries no number."""
    folder = tmp_path_factory.mktemp("release") / "0.1.0"
    unpack_release("0.1.0", folder)
    return folder / "store"


@pytest.fixture(params=READABLE)
def early(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    early_store(request.param, tmp_path / "early")
    return tmp_path / "early"


def plain(header: Mapping[str, Any], arrays: Arrays) -> dict[str, Any]:
    """Content for comparison, that of packed arrays as well, without numbers of versions."""
    content: dict[str, Any] = {name: value for name, value in header.items() if name != "version"}
    for name, array in arrays.items():
        data = array.tobytes()
        content[f"array {name}"] = (
            plain(*unpack(data)) if data.startswith(b"DW1") else (array.dtype.str, array.shape, data)
        )
    return content


@pytest.mark.parametrize("column", ROUND_TRIPS)
def test_content_of_0_1_0_is_stored_as_it_was_but_for_the_number(release: Path, column: str) -> None:
    """Where this fails, names or types of stored content have changed: the format needs a new version."""
    stored, round_trip = ROUND_TRIPS[column]
    blobs = values(release, column)
    assert blobs
    for blob in blobs:
        again = unpack(round_trip(blob))
        assert plain(*again) == plain(*stored.migrated(*unpack(blob)))
        assert again[0].get("version") == (stored.version if stored.migrations else None)


def test_json_of_0_1_0_is_stored_as_it_was(release: Path) -> None:
    """Where this fails, fields of verdicts or messages have changed: the format needs a new version."""
    verdicts = values(release, "verdicts.content")
    messages = values(release, "outbox.message") + values(release, "incidents.content")
    assert {json.loads(text)["reason"] for text in verdicts} > {"burn_in", "no_rows", "too_few_rows"}
    for text in verdicts:
        content = VERDICT.numbered(VERDICT.migrated(json.loads(text), {})[0])
        assert json.dumps(verdict_to_json(verdict_from_json(json.loads(text)))) == json.dumps(content)
    for text in messages:
        content = MESSAGE.numbered(MESSAGE.migrated(json.loads(text), {})[0])
        assert message_to_json(message_from_json(text)) == json.dumps(content, sort_keys=True)


def test_a_state_with_a_number_is_read_as_one_without(release: Path) -> None:
    for blob in values(release, "tracks.content"):
        numbered = encode(decode(blob))
        assert unpack(numbered)[0]["version"] == VERSION == 2
        assert len(numbered) < len(blob) + 64
        assert encode(decode(numbered)) == numbered


def test_migrations_of_states_lead_to_the_version_and_leave_their_arguments(early: Path) -> None:
    assert len(STATE_MIGRATIONS) == VERSION
    header, arrays = unpack(values(early, "tracks.content")[0])
    before = plain(header, arrays)
    STATE_MIGRATIONS[0](header, arrays)
    assert plain(header, arrays) == before


def test_an_early_state_is_completed(early: Path) -> None:
    """What was not stored yet begins empty; all else is what was stored."""
    (blob,) = values(early, "tracks.content")
    header, arrays = unpack(blob)
    state = decode(blob)
    for name, field in SHARE_ARRAYS.items():
        np.testing.assert_array_equal(getattr(state.shares, field), arrays[f"shares.{name}"])
    for name, field in SCORE_ARRAYS.items():
        array = getattr(state.scores, field)
        if name in ("log_m", "run", "onset"):
            stored = arrays[f"scores.{name}"].shape[2]
            assert stored == 3
            assert (array[:, :, stored:] == (-np.inf if name == "log_m" else 0)).all()
            array = array[:, :, :stored]
        if f"scores.{name}" in arrays:
            np.testing.assert_array_equal(array, arrays[f"scores.{name}"])
        else:
            assert len(array)
            assert (array == 0).all() if name == "lean" else name == "rows" and np.isnan(array).all()
    assert (state.score_model is not None) == ("usual.ranked" in arrays)
    assert state.carried_over is not None
    assert 0 < state.carried_over.rows < MIN_ROWS
    assert [list(item.columns) for item in state.incidents] == [
        item["columns"] for item in header["incidents"]
    ]
    assert encode(decode(encode(state))) == encode(state)


def test_early_stores_have_all_variants(tmp_path: Path) -> None:
    variants = set()
    for name in READABLE:
        early_store(name, tmp_path / name)
        _, arrays = unpack(values(tmp_path / name, "tracks.content")[0])
        variants.add(tuple(part in arrays for part in ("scores.lean", "usual.ranked", "scores.rows")))
    assert variants == {(False, False, False), (True, False, False), (True, True, False), (True, True, True)}


def test_a_state_of_a_lost_layout_is_refused(tmp_path: Path) -> None:
    early_store(LOST, tmp_path / "early")
    with pytest.raises(StoreError, match=r"0.1.0 or newer. Got one of a development version before it"):
        decode(values(tmp_path / "early", "tracks.content")[0])


@pytest.mark.parametrize("name", COMMITS)
def test_an_early_store_is_opened(tmp_path: Path, name: str) -> None:
    early_store(name, tmp_path / "early")
    texts = values(tmp_path / "early", "verdicts.content")
    database = Database(tmp_path / "early")
    history = History(database)
    active = history.references.active("parcels")
    verdicts = [verdict_from_json(item) for item in history.verdicts.newest("parcels", None)]
    tiles = [
        tile
        for verdict in verdicts
        for tile in history.tiles.newest(
            "parcels",
            None,
            verdict.window.start,
            verdict.window.end,
            active.reference.plan.fingerprint if active else "",
        )
    ]
    messages = [message_from_json(item.content) for item in history.incidents.of_monitor("parcels")]
    database.close()
    assert active is not None
    assert active.reference.summary.rows == 24 * 60
    assert [verdict.rows for verdict in verdicts] == [30] * 7 == [tile.summary.rows for tile in tiles]
    assert all(sum(tile.summary.counts["kind"].cells) == 30 for tile in tiles)
    assert [verdict.evidence for verdict in verdicts] == [json.loads(text)["evidence"] for text in texts]
    assert [message.kind for message in messages] == ([] if name == LOST else ["broken"])


def _refusals(release: Path) -> Iterator[tuple[StoredFormat, Callable[[Mapping[str, Any]], Any]]]:
    """Each format with its reader of an example that has a changed header."""
    reference = values(release, "reference_versions.content")[0]
    packed = (
        (PLAN, decode_plan, unpack(reference)[1]["plan"].tobytes()),
        (SUMMARY, decode_summary, values(release, "tiles.content")[0]),
        (REFERENCE, decode_reference, reference),
        (SEGMENT_STATE, decode, values(release, "tracks.content")[0]),
        (TRIAL, decode_trial, values(release, "selftests.trial")[0]),
    )
    for stored, read, blob in packed:
        header, arrays = unpack(blob)
        yield (
            stored,
            lambda change, read=read, header=header, arrays=arrays: read(pack({**header, **change}, arrays)),
        )
    verdict = json.loads(values(release, "verdicts.content")[0])
    yield VERDICT, lambda change: verdict_from_json({**verdict, **change})
    message = json.loads(values(release, "outbox.message")[0])
    yield MESSAGE, lambda change: message_from_json(json.dumps({**message, **change}))


@pytest.mark.parametrize("number", range(len(FORMATS)), ids=[stored.name for stored in FORMATS])
def test_a_newer_version_of_each_format_is_refused(release: Path, number: int) -> None:
    stored, read = list(_refusals(release))[number]
    assert stored is FORMATS[number]
    read({"version": stored.version})
    with pytest.raises(StoreTooNew, match=f"stored {stored.name}: .* a newer driftwatch wrote it"):
        read({"version": stored.version + 1})


@pytest.mark.parametrize("change", [{"hue": 1}, {"reason": "moon"}, {"state": "moon"}, {"tiles": 3}])
def test_a_verdict_of_unknown_fields_is_refused(release: Path, change: Mapping[str, Any]) -> None:
    verdict = json.loads(values(release, "verdicts.content")[0])
    with pytest.raises(StoreDamaged, match=r"stored verdict: .* The store is damaged"):
        verdict_from_json({**verdict, **change})


def test_a_new_version_of_a_format_comes_with_a_step_of_the_schema() -> None:
    """An older driftwatch then refuses the store when it opens it, not in the middle of a check."""
    assert VERSIONS.get(len(MIGRATIONS)) == {stored.name: stored.version for stored in FORMATS}


def test_stored_objects_are_packed_with_their_version_only() -> None:
    """Fingerprints cover content without a number."""
    users = {
        str(path.relative_to(PACKAGE)): {item.name for item in node.names} & {"pack", "unpack"}
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == "driftwatch.core.codec"
    }
    assert {name: names for name, names in users.items() if names} == {
        "core/stored_format.py": {"pack", "unpack"},
        "summary/serial.py": {"pack"},
    }


def test_a_reader_says_that_an_older_schema_has_to_be_migrated_first(tmp_path: Path) -> None:
    folder = tmp_path / "early"
    early_store(LOST, folder)
    with pytest.raises(StoreUnusable, match=r"expected schema 6. Got 1: an older driftwatch wrote it. Run"):
        Database(folder, read_only=True)
    Database(folder).close()
    Database(folder, read_only=True).close()
