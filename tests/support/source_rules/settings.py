"""What a source's settings are."""

from __future__ import annotations

import importlib
import json

from pydantic import ValidationError
from source_stands import SECRET, Stand

from driftwatch.sources.base import SourceConfig
from source_rules.rule import rule


@rule("Settings sent as JSON open the same source in another process")
def settings_survive_json(stand: Stand) -> None:
    model = importlib.import_module(stand.module).CONFIG
    assert issubclass(model, SourceConfig)
    for changes in ({}, *stand.secretive().values()):
        values = {key: value for key, value in {**stand.settings(), **changes}.items() if value is not None}
        config = model.model_validate(values)
        sent = json.loads(json.dumps(config.model_dump(mode="json")))
        assert model.model_validate(sent) == config
        assert SECRET not in repr(config)


@rule("refuses settings that are wrong in themselves")
def wrong_settings_are_refused(stand: Stand) -> None:
    model = importlib.import_module(stand.module).CONFIG
    general = {
        "an unknown key": {"pathh": 1},
        "no zone of the world": {"timezone": "Mars/Olympus"},
        "another type": {"type": "another"},
    }
    for what, changes in {**general, **stand.refused()}.items():
        values = {key: value for key, value in {**stand.settings(), **changes}.items() if value is not None}
        try:
            model.model_validate(values)
        except ValidationError:
            continue
        raise AssertionError(f"{what} is taken")
