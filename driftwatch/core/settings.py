"""Base class and field types of configuration models."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, SecretStr

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d+)\s*([smhdw])")
# The match extends to the last @: a secret that was not percent-encoded can contain / and @.
_URL_USER = re.compile(r"(?<=://)(?:[^\s/]*|\S*:\S*)@")
_SECRET_OPTION = re.compile(
    r"([?&][a-z_.-]*(?:secret|password|passwd|token|sas|sig|key)[a-z_.-]*=)[^&\s'\"]*", re.IGNORECASE
)
_BUDGET = re.compile(r"(\d+(?:\.\d+)?)\s+per\s+(\d+\s*[smhdw])")


class Settings(BaseModel):
    """Base class of all configuration models: they are frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Since:
    """Marks a key that is younger than 0.1.0: ``engine: Annotated[EngineConfig, Since("0.2.0")] = ...``.

    At its default it is in no hash of a configuration, so that an upgrade keeps verdicts explainable and
    references in force. That default therefore never changes.
    """

    version: str


def without_younger_defaults(settings: Any, data: Any) -> Any:
    """Return ``data``, the JSON of ``settings``, without keys marked ``Since`` at their default."""
    if isinstance(settings, Settings) and isinstance(data, dict):
        return {
            name: without_younger_defaults(getattr(settings, name, None), value)
            for name, value in data.items()
            if not _is_younger_default(settings, name)
        }
    if isinstance(settings, dict) and isinstance(data, dict):
        items = zip(settings.values(), data.items(), strict=True)
        return {name: without_younger_defaults(item, value) for item, (name, value) in items}
    if isinstance(settings, list | tuple) and isinstance(data, list):
        return [without_younger_defaults(*pair) for pair in zip(settings, data, strict=True)]
    return data


def _is_younger_default(settings: Settings, name: str) -> bool:
    field = type(settings).model_fields.get(name)
    if field is None or not any(isinstance(item, Since) for item in field.metadata):
        return False
    return bool(getattr(settings, name) == field.get_default(call_default_factory=True))


def parse_duration(value: Any) -> int:
    """Parse a duration, an integer with unit s, m, h, d or w, into seconds.

    >>> parse_duration("90d")
    7776000
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value if value == 0 else _refuse_duration(value)
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return _refuse_duration(value)
    return int(match[1]) * _UNITS[match[2]]


def _refuse_duration(value: Any) -> int:
    raise ValueError(f"expected a duration such as 30s, 15m, 1h, 1d or 2w. Got {value!r}")


def format_duration(seconds: int) -> str:
    """Format seconds as a duration in the largest unit that divides them.

    >>> format_duration(86400), format_duration(5400)
    ('1d', '90m')
    """
    for unit in ("w", "d", "h", "m"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{seconds // _UNITS[unit]}{unit}"
    return f"{seconds}s"


class Budget(Settings):
    """A budget of at most ``pages`` false pages per ``period`` seconds, for one monitor."""

    pages: float
    period: int

    def per_second(self) -> float:
        return self.pages / self.period

    def __str__(self) -> str:
        return f"{self.pages:g} per {format_duration(self.period)}"


def parse_budget(value: Any) -> Any:
    """Parse ``NUMBER per DURATION``.

    >>> str(parse_budget("1 per 90d"))
    '1 per 90d'
    """
    if isinstance(value, Budget):
        return value
    match = _BUDGET.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or float(match[1]) <= 0 or parse_duration(match[2]) <= 0:
        raise ValueError(f"expected NUMBER per DURATION, such as 1 per 90d. Got {value!r}")
    return Budget(pages=float(match[1]), period=parse_duration(match[2]))


def read_secret(literal: str | SecretStr | None, file: Path | None) -> str | None:
    # The file is read at every call, so that the secret can be rotated.
    if file is None:
        return literal.get_secret_value() if isinstance(literal, SecretStr) else literal
    return Path(file).read_text(encoding="utf-8").strip()


def exclusive_setting(settings: Settings, *names: str, required: bool = True) -> str | None:
    """Return the name of the setting in use. Raises ``ValueError`` for two, or for none if ``required``."""
    set_names = [name for name in names if getattr(settings, name) is not None]
    expected = f"{names[0]}: expected {' or '.join(names)}"
    if len(set_names) > 1:
        raise ValueError(f"{expected}, not both. Got both.")
    if required and not set_names:
        raise ValueError(f"{expected}. Got neither.")
    return set_names[0] if set_names else None


def redact_credentials(text: str) -> str:
    """Mask users, passwords and secret options in URLs.

    >>> redact_credentials("s3://AKIA:ab/cd@bucket/x?region=eu&secret_key=1")
    's3://***@bucket/x?region=eu&secret_key=***'
    """
    return _SECRET_OPTION.sub(r"\1***", _URL_USER.sub("***@", text))


def _secret_text(value: Any) -> Any:
    if isinstance(value, SecretStr) or (isinstance(value, str) and value.strip()):
        return value
    raise ValueError("expected a text (a number needs quotes), best ${NAME} from the environment. Got none.")


def _valid_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f'expected an IANA time zone such as UTC or Europe/Berlin. Got "{name}"') from error
    return name


#: Masked in errors, dumps and logs.
Secret = Annotated[SecretStr, BeforeValidator(_secret_text)]
Zone = Annotated[str, AfterValidator(_valid_zone)]
Duration = Annotated[int, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str)]
PageBudget = Annotated[Budget, BeforeValidator(parse_budget), PlainSerializer(str, return_type=str)]
