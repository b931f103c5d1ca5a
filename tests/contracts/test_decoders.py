"""The contract of decoders: on every plugin, on that of the tests, and on ones that break one rule each."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import get_args

import decoder_rules
import lines_decoder
import pytest
from broken_decoders import BROKEN
from broken_decoders import CONFIG as LINES
from decoder_rules import RULES, Subject
from decoder_stands import stand_of
from lines_decoder import LinesDecoder

from driftwatch.core import plugins
from driftwatch.decoders.base import UndecodableReason

DECODERS = [*plugins.names("decoders"), "lines"]
Rule = Callable[[Subject], None]


def module_of(name: str) -> ModuleType:
    return lines_decoder if name == "lines" else plugins.load("decoders", name)


@pytest.fixture(params=DECODERS)
def name(request: pytest.FixtureRequest) -> str:
    decoder_name: str = request.param
    return decoder_name


@pytest.fixture
def subject(name: str) -> Subject:
    stand, module = stand_of(name), module_of(name)
    config = module.CONFIG.model_validate({"type": name, "column": "body", **stand.settings})
    return Subject(stand=stand, open=lambda: module.open_decoder(config))


def test_it_is_named_as_its_file(name: str) -> None:
    assert get_args(module_of(name).CONFIG.model_fields["type"].annotation) == (name,)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_it_keeps_the_rule(subject: Subject, rule: Rule) -> None:
    rule(subject)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_decoder_that_breaks_a_rule_is_caught(broken: type[LinesDecoder]) -> None:
    with pytest.raises(AssertionError):
        BROKEN[broken](Subject(stand=stand_of("lines"), open=lambda: broken(config=LINES)))


def test_every_rule_is_broken_by_some_decoder() -> None:
    assert set(BROKEN.values()) == set(RULES)


def test_the_messages_of_the_tests_have_every_reason() -> None:
    reasons = set(stand_of("lines").undecodable.values())
    assert reasons == set(UndecodableReason)
    assert decoder_rules.EXAMPLES >= 100
