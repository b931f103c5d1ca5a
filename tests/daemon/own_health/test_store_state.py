"""From looks at the store to its state: pure."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from driftwatch.daemon.own_health.store.store_note import StoreNote, note_from_text, note_to_text
from driftwatch.daemon.own_health.store.store_state import StoreLook, StoreOutage, next_outage
from driftwatch.daemon.own_health.store.store_words import MAX_NAMED_INCIDENTS, message
from driftwatch.store.records import StoreState

OK = StoreLook()
WORKS = StoreLook(can_commit=True)
FULL = StoreLook(failure=StoreState.FULL)
READ_ONLY = StoreLook(failure=StoreState.READ_ONLY)
CORRUPT = StoreLook(failure=StoreState.CORRUPT)
GONE = StoreLook(identity=StoreState.GONE)
REPLACED = StoreLook(identity=StoreState.REPLACED)


def outages(looks: Sequence[StoreLook]) -> list[StoreOutage | None]:
    """The outage after each look; keys are the state and the number of the look."""
    outage, result = None, []
    for number, look in enumerate(looks):
        outage = next_outage(outage, look, lambda state, number=number: f"{state}-{number}", number)
        result.append(outage)
    return result


@pytest.mark.parametrize(
    ("looks", "states", "keys"),
    [
        ([OK, WORKS], ["", ""], ["", ""]),
        ([FULL, OK, WORKS, FULL], ["full", "full", "", "full"], ["full-0", "full-0", "", "full-3"]),
        ([FULL, READ_ONLY, OK], ["full", "read_only", "read_only"], ["full-0"] * 3),
        ([CORRUPT, WORKS, OK], ["corrupt"] * 3, ["corrupt-0"] * 3),
        ([FULL, GONE, GONE], ["full", "gone", "gone"], ["full-0", "gone-1", "gone-1"]),
        ([GONE, OK, OK], ["gone", "", ""], ["gone-0", "", ""]),
    ],
)
def test_one_outage_has_one_key(looks: list[StoreLook], states: list[str], keys: list[str]) -> None:
    assert [item.state if item else "" for item in outages(looks)] == states
    assert [item.key if item else "" for item in outages(looks)] == keys


@pytest.mark.parametrize("look", [GONE, REPLACED, CORRUPT])
def test_a_lost_or_corrupt_store_ends_the_process_two_looks_later(look: StoreLook) -> None:
    assert [item is not None and item.must_end for item in outages([OK, look, look, look])] == [
        False, False, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize("look", [FULL, READ_ONLY])
def test_no_other_trouble_ends_it(look: StoreLook) -> None:
    assert not any(item is not None and item.must_end for item in outages([look] * 99))


def test_a_note_comes_back_as_it_was_and_nonsense_is_none() -> None:
    outage = StoreOutage(state=StoreState.FULL, key="k", began_at=7)
    note = StoreNote(outage=outage, informed=frozenset({"a", "b"}))
    assert note_from_text(note_to_text(note)) == note
    for text in ("", "{}", "[1]", '{"state": "odd"}', "\x00", note_to_text(note)[:-5]):
        assert note_from_text(text) is None


def test_a_message_names_some_incidents_and_counts_the_others(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    outage = StoreOutage(state=StoreState.GONE, key="k", began_at=7)
    folder = tmp_path_factory.getbasetemp()
    keys = [f"incident-{number}" for number in range(MAX_NAMED_INCIDENTS + 3)]
    lines = message(outage, folder, keys, "").lines
    assert set(keys[:MAX_NAMED_INCIDENTS]) <= set(lines)
    assert lines[-1] == "and 3 more"
    assert "incident" not in " ".join(message(outage, folder, (), "").lines)
