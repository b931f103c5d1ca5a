"""The contract of sources, wherever a plugin keeps rows. Sources are found by name.

The rules themselves are in ``tests/support/source_rules``; how to put rows where a source reads them, in
``tests/support/source_stands``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from source_rules import RULES, Rule
from source_stands import Stand, stands_of
from source_tables import TIMES, VALUES

from driftwatch.core import plugins
from driftwatch.sources import base

SOURCES = plugins.names("sources")
STANDS = [stand for name in SOURCES for stand in stands_of(name)]


def cases() -> Iterator[object]:
    for stand in STANDS:
        for rule in RULES:
            if rule.needs(stand):
                marks = [pytest.mark.peer] if stand.peer else []
                yield pytest.param(stand, rule, id=f"{stand.name}-{rule.name}", marks=marks)


@pytest.fixture(scope="module")
def service(request: pytest.FixtureRequest) -> Iterator[tuple[type[Stand], str]]:
    with request.param.service() as address:
        yield request.param, address


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_has_a_stand_and_is_named_as_its_file(name: str) -> None:
    assert stands_of(name), (
        f"the contract of sources does not know where {name!r} reads: write tests/support/source_stands/"
        f"{name}.py with STANDS, classes of source_stands.Stand"
    )
    module = plugins.load("sources", name)
    assert module.CONFIG.model_fields["type"].annotation.__args__ == (name,)
    assert {stand.module for stand in stands_of(name)} == {module.__name__}


@pytest.mark.parametrize(("service", "rule"), list(cases()), indirect=["service"])
def test_the_contract(service: tuple[type[Stand], str], rule: Rule, tmp_path: Path) -> None:
    stand, address = service
    rule.check(stand(tmp_path, address))


def test_every_form_of_times_and_values_is_kept_somewhere() -> None:
    present = [stand for stand in STANDS if not stand.peer]
    assert {name for stand in present for name in stand.times} == set(TIMES)
    assert {name for stand in present for name in stand.values} == set(VALUES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_is_promised_and_some_source_must_keep_it(rule: Rule) -> None:
    text = " ".join(Path(str(base.__file__)).read_text(encoding="utf-8").replace("#:", "").split())
    assert " ".join(rule.promise.split()) in text
    assert any(rule.needs(stand) for stand in STANDS if not stand.peer)
