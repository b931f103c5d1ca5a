"""The keys of the configuration file, version 1. Unknown keys are refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    ByteSize,
    Field,
    PrivateAttr,
    SerializeAsAny,
    ValidationInfo,
    field_validator,
)

from driftwatch.columns.rows.row_options import Encoding, RowOptions
from driftwatch.core.host_list import HostList, valid_host_entry
from driftwatch.core.schema import Kind, Role
from driftwatch.core.settings import (
    Budget,
    Duration,
    PageBudget,
    Settings,
    Since,
    Zone,
    format_duration,
    without_younger_defaults,
)
from driftwatch.decoders.base import DecoderConfig
from driftwatch.engines.base import EngineConfig
from driftwatch.engines.local import LocalConfig
from driftwatch.notify.base import NotifierConfig
from driftwatch.sources.base import SourceConfig

_DAY = 86400
#: Seconds. A burn-in has an end that people see.
_MAX_BURN_IN = 3650 * _DAY

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")]


class StorageConfig(Settings):
    path: Path = Path("driftwatch-data")
    row_sample: bool = False


class TlsConfig(Settings):
    """PEM files of the web server, read at start and reload."""

    cert_file: Path
    key_file: Path


class AuthConfig(Settings):
    """Token for all requests but ``/-/healthy`` and ``/-/ready``, as bearer token or password.

    Whoever has it may acknowledge incidents.
    """

    token_file: Path


class WebConfig(Settings):
    listen: str = Field(default="127.0.0.1:9877", pattern=r"^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$")
    external_url: str | None = None
    allowed_hosts: list[HostName] = Field(default_factory=list)
    enable_reload: bool = False
    tls: TlsConfig | None = None
    auth: AuthConfig | None = None

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def site_url(self) -> str:
        return self.external_url or f"http://{self.listen}"

    @property
    def loopback(self) -> bool:
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def port(self) -> int:
        """Port to listen on; 0 picks a free one."""
        return int(self.listen.rpartition(":")[2])


class ReferenceConfig(RowOptions):
    path: str | list[str]
    format: Literal["parquet", "csv", "jsonl"] | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    encoding: Annotated[Encoding, Since("0.2.0")] = "utf-8"
    time_column: str | None = None
    timezone: Zone = "UTC"


#: Lengths of windows that a patience is at least.
MIN_PATIENCE_WINDOWS = 2


class WindowConfig(Settings):
    """Evidence comes from tumbling windows of ``length``; ``every`` is the interval of gauge refreshes."""

    length: Duration = _DAY
    every: Duration | None = None
    lag: Duration = 0
    min_rows: Annotated[int, Field(ge=1)] = 200
    patience: Annotated[Duration, Since("0.2.0")] = 7 * _DAY

    # Validators of fields, not of the model: that one would run only if nothing else is wrong.
    @field_validator("length")
    @classmethod
    def _require_length_divides_day(cls, length: int) -> int:
        if length <= 0:
            raise ValueError("expected a duration above zero")
        if length < _DAY and _DAY % length:
            raise ValueError("expected a duration that divides a day, or whole days")
        if length > _DAY and length % _DAY:
            raise ValueError("expected whole days when longer than a day")
        return length

    @field_validator("every")
    @classmethod
    def _require_every_divides_length(cls, every: int | None, info: ValidationInfo) -> int | None:
        length = info.data.get("length")
        if every is not None and (every <= 0 or (length is not None and length % every)):
            raise ValueError("expected a duration that divides length without rest")
        return every

    @field_validator("patience")
    @classmethod
    def _require_two_lengths(cls, patience: int, info: ValidationInfo) -> int:
        length = info.data.get("length")
        if length is not None and patience < MIN_PATIENCE_WINDOWS * length:
            raise ValueError(f"expected at least two windows' length, {format_duration(2 * length)}")
        return patience

    @property
    def patience_seconds(self) -> int:
        """Seconds that the source may answer without a window's rows before the window is given up."""
        return max(self.patience, MIN_PATIENCE_WINDOWS * self.length)

    @property
    def step(self) -> int:
        """Seconds between refreshes of the gauges."""
        return self.length if self.every is None else self.every


class ColumnConfig(Settings):
    """Overrides the kind or role inferred for one column; ``watch: norm`` is enough for a vector."""

    kind: Kind | None = None
    role: Role | None = None
    watch: Annotated[Literal["norm"] | None, Since("0.2.0")] = None


class SegmentConfig(Settings):
    """Watch each of the ``most`` most frequent levels of ``column`` separately, the rest as ``other``."""

    column: str
    most: Annotated[int, Field(ge=1, le=200)] = 20


class ModelConfig(Settings):
    """Name and version of the model; a new version needs a new reference."""

    name: str = ""
    version: str = ""


class ReadLimitsConfig(Settings):
    memory: Annotated[ByteSize, Field(ge=256 << 20)] = ByteSize(4 << 30)
    seconds: Annotated[int, Field(ge=1)] = 300
    rows: Annotated[int, Field(ge=1)] = 100_000_000


class AlarmConfig(Settings):
    false_pages: PageBudget = Budget(pages=1, period=90 * _DAY)
    tolerance: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    min_effect: Annotated[float, Field(gt=0, lt=0.5)] = 0.02
    design_effect: Annotated[float, Field(ge=1)] | None = None


class SelftestConfig(Settings):
    """Inject a fault into copies of the real windows, at intervals of ``every``, to measure detection.

    ``shift`` is in units of the column's scale. Without ``column`` faults take all columns in turn; without
    ``within`` a fault must be detected within ten windows.
    """

    every: Duration
    shift: Annotated[float, Field(gt=0, le=10)] = 0.5
    column: str | None = None
    within: Duration | None = None


class MonitorConfig(Settings):
    name: Name
    reference: ReferenceConfig
    source: SerializeAsAny[SourceConfig]
    decode: Annotated[SerializeAsAny[DecoderConfig] | None, Since("0.2.0")] = None
    engine: Annotated[SerializeAsAny[EngineConfig], Since("0.2.0")] = LocalConfig()
    window: WindowConfig = WindowConfig()
    columns: dict[str, ColumnConfig] = Field(default_factory=dict)
    detectors: list[str] | None = None
    alarm: AlarmConfig = AlarmConfig()
    timezone: Zone = "UTC"
    tolerance: Annotated[float | None, Field(gt=0, lt=0.5)] = None
    min_effect: Annotated[float | None, Field(gt=0, lt=0.5)] = None
    season: list[Literal["hour_of_day", "day_of_week", "hour_of_week"]] = Field(default_factory=list)
    burn_in: Annotated[Duration, Field(le=_MAX_BURN_IN)] | None = None
    segment_by: SegmentConfig | None = None
    groups: dict[str, list[str]] = Field(default_factory=dict)
    weights: dict[str, Annotated[float, Field(ge=1e-6, le=1e6)]] = Field(default_factory=dict)
    exclude: list[date] = Field(default_factory=list)
    model: ModelConfig = ModelConfig()
    limits: ReadLimitsConfig = ReadLimitsConfig()
    selftest: SelftestConfig | None = None
    #: Texts of the file in which a variable was replaced: its value can be a secret.
    _raw_texts: dict[tuple[str | int, ...], str] = PrivateAttr(default_factory=dict)
    #: ``file:line: path`` of the columns' settings in the file, by key path below this monitor.
    _places: dict[tuple[str | int, ...], str] = PrivateAttr(default_factory=dict)

    @field_validator("selftest")
    @classmethod
    def _require_whole_windows(
        cls, selftest: SelftestConfig | None, info: ValidationInfo
    ) -> SelftestConfig | None:
        window = info.data.get("window")
        if selftest is None or window is None:
            return selftest
        for name in ("every", "within"):
            duration = getattr(selftest, name)
            if duration is not None and duration < window.length:
                length = format_duration(window.length)
                raise ValueError(f"{name}: expected a duration of at least window.length, {length}")
        return selftest

    @property
    def raw_texts(self) -> Mapping[tuple[str | int, ...], str]:
        """Texts of the file that hold variables, by key path below this monitor."""
        return self._raw_texts

    def set_raw_texts(self, raw_texts: Mapping[tuple[str | int, ...], str]) -> None:
        self._raw_texts.update(raw_texts)

    def set_places(self, places: Mapping[tuple[str | int, ...], str]) -> None:
        self._places.update(places)

    def place(self, *key_path: str) -> str:
        """Return where a column's setting is written: file, line and path, or the path alone."""
        return self._places.get(key_path, f"monitor {self.name!r}: {'.'.join(key_path)}")

    @property
    def effective_tolerance(self) -> float:
        """Share of the traffic that may change without a page."""
        return self.alarm.tolerance if self.tolerance is None else self.tolerance

    @property
    def effective_min_effect(self) -> float:
        # The smallest effect of a score that is worth knowing.
        return self.alarm.min_effect if self.min_effect is None else self.min_effect


class ExportConfig(Settings):
    """Selects which per-column series the exporter publishes."""

    columns: Literal["all", "drifted", "top_k", "none"] = "all"
    top_k: Annotated[int, Field(ge=1)] = 50
    max_series: Annotated[int, Field(ge=100)] = 100_000


NotifyHost = Annotated[str, AfterValidator(valid_host_entry)]


class ProcessLimitsConfig(Settings):
    """Limits shared by all monitors."""

    workers: Annotated[int, Field(ge=1, le=64)] = 2
    shutdown: Duration = 10
    catch_up: Annotated[int, Field(ge=1)] = 400
    notify_hosts: Annotated[list[NotifyHost] | None, Since("0.2.0")] = None

    @property
    def allowed_hosts(self) -> HostList | None:
        """Return the hosts that notifiers may contact; None: any."""
        return None if self.notify_hosts is None else HostList.parse(self.notify_hosts)


class RetentionConfig(Settings):
    tiles: Duration = 400 * _DAY
    verdicts: Duration = 800 * _DAY


class Config(Settings):
    version: Literal[1]
    storage: StorageConfig = StorageConfig()
    web: WebConfig = WebConfig()
    monitors: Annotated[list[MonitorConfig], Field(min_length=1)]
    notify: list[SerializeAsAny[NotifierConfig]] = Field(default_factory=list)
    export: ExportConfig = ExportConfig()
    limits: ProcessLimitsConfig = ProcessLimitsConfig()
    retention: RetentionConfig = RetentionConfig()

    @field_validator("retention")
    @classmethod
    def _require_longest_window(cls, retention: RetentionConfig, info: ValidationInfo) -> RetentionConfig:
        longest = max(
            (item.window.length + item.window.lag for item in info.data.get("monitors", ())), default=0
        )
        for name in ("tiles", "verdicts"):
            if getattr(retention, name) < longest:
                length = format_duration(longest)
                raise ValueError(
                    f"{name}: expected at least the longest window.length with its lag, {length}"
                )
        return retention

    def model_post_init(self, _context: Any, /) -> None:
        for notifier in self.notify:
            notifier.restrict(self.limits.allowed_hosts)

    def monitor(self, name: str) -> MonitorConfig | None:
        return next((monitor for monitor in self.monitors if monitor.name == name), None)


def as_json(settings: Settings) -> dict[str, Any]:
    """Return settings as hashes cover them: see ``Since``."""
    data: dict[str, Any] = without_younger_defaults(settings, settings.model_dump(mode="json"))
    return data
