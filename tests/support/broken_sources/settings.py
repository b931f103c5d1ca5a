"""Sources whose settings are wrong."""

from __future__ import annotations

from pieces_source import PiecesConfig
from pydantic import ConfigDict, Field

from broken_sources.broken import Broken


class _ForgetfulConfig(PiecesConfig):
    password: str = Field(default="", exclude=True, repr=False)


class _TalkativeConfig(PiecesConfig):
    password: str = ""


class _LenientConfig(PiecesConfig):
    model_config = ConfigDict(extra="ignore")


class ForgetsItsPassword(Broken):
    breaks = "settings_survive_json"
    config_model = _ForgetfulConfig


class ShowsItsSettings(Broken):
    breaks = "settings_survive_json"
    config_model = _TalkativeConfig


class TakesAnySettings(Broken):
    breaks = "wrong_settings_are_refused"
    config_model = _LenientConfig
