"""The ledger beside the history: what it says of an incident, also in the words of older versions."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from pathlib import Path

from memory_outbox import message

from driftwatch.store.database import FILE, Database
from driftwatch.store.outbox import message_to_json
from driftwatch.store.records import StoredIncident
from driftwatch.store.recovery.ledger import LedgerContent, read_ledger, write_ledger
from driftwatch.store.recovery.salvage import salvaged
from driftwatch.store.tables.incident_table import IncidentTable

INCIDENT = StoredIncident(
    key="k", monitor="m", segment=None, kind="drift", columns=("a",), opened_at=1, onset=0,
    resolved_at=None, resolution=None, muted_until=None, content="{}", segments=(None, "JFK"),
)  # fmt: skip


def test_an_incident_of_several_segments_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_ledger(tmp_path / "ledger", LedgerContent(incidents=(INCIDENT,)))
    assert read_ledger(tmp_path / "ledger") == LedgerContent(incidents=(INCIDENT,))


def test_a_ledger_from_before_there_were_several_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    write_ledger(path, LedgerContent(incidents=(INCIDENT,)))
    data = json.loads(json.loads(path.read_text())["content"])
    del data["incidents"][0]["segments"]
    text = json.dumps(data)
    path.write_text(json.dumps({"checksum": zlib.crc32(text.encode()), "content": text}))
    content = read_ledger(path)
    assert content is not None
    assert [item.all_segments for item in content.incidents] == [(None,)]


def test_what_a_corrupt_file_says_of_its_segments_is_read(tmp_path: Path) -> None:
    database = Database(tmp_path)
    text = message_to_json(message("k"))
    incidents = [replace(INCIDENT, content=text), replace(INCIDENT, key="k2", content=text, segments=())]
    with database.transaction() as connection:
        IncidentTable.open(connection, incidents)
    database.close()
    assert list(salvaged(tmp_path / FILE).incidents) == incidents
