"""The contract of sources can fail: a source that keeps every rule passes it, those that break one do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from broken_sources import BROKEN
from pieces_source import PiecesStand
from source_rules import RULES, Rule

RULE_OF = {rule.name: rule for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_source_that_keeps_every_rule_passes(rule: Rule, tmp_path: Path) -> None:
    assert rule.needs(PiecesStand)
    rule.check(PiecesStand(tmp_path, ""))


@pytest.mark.parametrize("name", BROKEN)
def test_a_source_that_breaks_a_rule_fails_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pieces_source.CONFIG", BROKEN[name].config_model)
    stand = PiecesStand(tmp_path, "")
    stand.fault = name
    # A rule fails by an assertion or by what the source raises, but not by a slip of this test.
    with pytest.raises(Exception) as caught:  # noqa: PT011
        RULE_OF[BROKEN[name].breaks].check(stand)
    assert not isinstance(caught.value, TypeError | AttributeError | NameError | ImportError | KeyError)


def test_every_rule_is_broken_by_some_source() -> None:
    assert {broken.breaks for broken in BROKEN.values()} == set(RULE_OF)
