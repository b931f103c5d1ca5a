"""Hashes of configurations outlive upgrades: a younger key enters them only beside its default."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field, SerializeAsAny
from release_fixture import decided, releases
from release_keys import hashed_models

from driftwatch.config.models import ColumnConfig, MonitorConfig, ReferenceConfig, as_json
from driftwatch.core.settings import Settings, Since
from driftwatch.monitor.record import configuration_of
from driftwatch.sources.base import SourceConfig
from driftwatch.sources.files import FilesConfig

#: Keys of each release's models, oldest release first.
KEYS = [
    decided(version)["keys"]
    for version in sorted(releases(), key=lambda name: [int(part) for part in name.split(".")])
]
ADVICE = 'declare it as `KEY: Annotated[TYPE, Since("NEXT VERSION")] = DEFAULT`'


@pytest.mark.parametrize("name", hashed_models())
def test_a_younger_key_is_marked_and_has_a_default(name: str) -> None:
    model = hashed_models()[name]
    first = next((set(keys[name]) for keys in KEYS if name in keys), None)
    marked = {
        key
        for key, field in model.model_fields.items()
        if any(isinstance(item, Since) for item in field.metadata)
    }
    without_default = {key for key in marked if model.model_fields[key].is_required()}
    assert not without_default, f"{name}: a younger key has a default, or older files end"
    if first is not None:
        younger = set(model.model_fields) - first
        assert not younger - marked, f"{name}: {younger - marked} would change every hash: {ADVICE}"
        assert not marked - younger, f"{name}: {marked - younger} is in the hashes of older versions already"
        assert not first - set(model.model_fields), f"{name}: a key that is gone changes every hash"


class Engine(Settings):
    type: str = "local"


class Decoder(Settings):
    type: str
    strict: Annotated[bool, Since("0.3.0")] = True


class YoungerColumn(ColumnConfig):
    watch: Annotated[bool, Since("0.2.0")] = True


class YoungerReference(ReferenceConfig):
    explode: Annotated[str | None, Field(min_length=1), Since("0.2.0")] = None


class YoungerFiles(FilesConfig):
    encoding: Annotated[str, Since("0.2.0")] = "utf-8"
    decoders: Annotated[list[Decoder], Since("0.2.0")] = Field(default_factory=list)


class YoungerMonitor(MonitorConfig):
    """The monitor's model with keys that came later: at the top, below it, in mappings, lists and sources."""

    reference: YoungerReference
    source: SerializeAsAny[SourceConfig]
    columns: dict[str, YoungerColumn] = Field(default_factory=dict)
    engine: Annotated[Engine, Since("0.2.0")] = Engine()
    decode: Annotated[Decoder | None, Since("0.2.0")] = None


FILES = {"type": "files", "path": "p/*.csv", "time_column": "at"}
DECODER = {"type": "json"}


def settings(model: type[MonitorConfig], source: type[FilesConfig], changes: dict[str, Any]) -> MonitorConfig:
    """A monitor with a reference, a column and a source, each with its part of the changes."""
    parts = {key: value for key, value in changes.items() if key not in ("source", "columns", "reference")}
    return model(
        name="m",
        reference={"path": "r.csv", **changes.get("reference", {})},
        source=source(**FILES, **changes.get("source", {})),
        columns={"c": {"role": "id", **changes.get("columns", {})}},
        **parts,
    )


def younger(**changes: Any) -> MonitorConfig:
    return settings(YoungerMonitor, YoungerFiles, changes)


OLD = settings(MonitorConfig, FilesConfig, {})


def test_younger_keys_at_their_defaults_change_no_hash() -> None:
    assert configuration_of(younger()) == configuration_of(OLD)
    # Written out, a default is the same default.
    written = younger(
        engine={"type": "local"}, decode=None, reference={"explode": None},
        columns={"watch": True}, source={"encoding": "utf-8", "decoders": []},
    )  # fmt: skip
    assert configuration_of(written) == configuration_of(OLD)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"engine": {"type": "sql"}}, ("engine", "type", "sql")),
        ({"decode": DECODER}, ("decode", "type", "json")),
        ({"reference": {"explode": "items"}}, ("reference", "explode", "items")),
        ({"columns": {"watch": False}}, ("columns", "c", "watch", False)),
        ({"source": {"encoding": "latin-1"}}, ("source", "encoding", "latin-1")),
        ({"source": {"decoders": [DECODER]}}, ("source", "decoders", 0, "type", "json")),
    ],
)
def test_a_younger_key_with_another_value_is_in_the_hash(changes: Any, path: tuple[Any, ...]) -> None:
    config = younger(**changes)
    assert configuration_of(config)[0] != configuration_of(OLD)[0]
    value: Any = as_json(config)
    for part in path[:-1]:
        value = value[part]
    assert value == path[-1]


def test_a_key_younger_still_is_left_out_of_what_is_in_the_hash() -> None:
    nested = [
        as_json(younger(decode=DECODER))["decode"],
        as_json(younger(source={"decoders": [DECODER]}))["source"],
    ]
    assert nested[0] == DECODER
    assert nested[1]["decoders"] == [DECODER]
    strict = as_json(younger(decode={**DECODER, "strict": False}))
    assert strict["decode"] == {**DECODER, "strict": False}
