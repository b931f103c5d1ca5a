"""The engine that counts rows on this machine, in child processes with limits and a deadline."""

from __future__ import annotations

from typing import Literal

from driftwatch.engines.base import Capability, Engine, EngineConfig

__all__ = ["CONFIG", "LocalConfig", "open_engine"]


class LocalConfig(EngineConfig):
    type: Literal["local"] = "local"

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset(Capability)


CONFIG = LocalConfig


def open_engine(_config: LocalConfig) -> Engine:
    from driftwatch.engines.local.count import LocalEngine

    return LocalEngine()
