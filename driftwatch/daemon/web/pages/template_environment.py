"""The environment of the page templates: values are escaped, undefined names are errors."""

from __future__ import annotations

import json
from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined

from driftwatch.core.schema import iso
from driftwatch.core.settings import format_duration
from driftwatch.daemon.web.http.assets import Asset
from driftwatch.daemon.web.http.links import Links
from driftwatch.daemon.web.pages import own_health_page, view_models
from driftwatch.monitor.column_labels import column_label, column_labels, named_column_text
from driftwatch.monitor.incidents.ending_text import column_endings, ending_line, update_text
from driftwatch.results import text_format

#: Longer names, texts and settings are cut, so that pages stay small.
_MAX_NAME_CHARS, _MAX_TEXT_CHARS, _MAX_SETTINGS_CHARS = 100, 600, 60_000


def template_environment(links: Links, assets: Mapping[str, Asset]) -> Environment:
    """Return an environment that loads only packaged templates."""
    environment = Environment(
        loader=PackageLoader("driftwatch.daemon.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=text_format.format_number,
        percent=text_format.format_percent,
        p_value=text_format.format_p_value,
        time=text_format.format_time,
        relative_time=text_format.format_relative_time,
        seconds_since=own_health_page.seconds_text,
        date=text_format.format_date,
        printable=lambda text: _printable(text, _MAX_TEXT_CHARS),
        name=lambda text: _printable(text, _MAX_NAME_CHARS),
        named_column_text=named_column_text,
        column_label=column_label,
        column_labels=column_labels,
        update_text=update_text,
        ending_line=lambda item, verdict: ending_line(item, verdict.window.seconds),
        column_endings=lambda item, verdict: column_endings(item, verdict.window.seconds),
        plural=text_format.format_count,
        duration=format_duration,
        moves=text_format.move_notes,
        set_aside_notes=lambda columns: [(item.name, f"({item.reason or item.role})") for item in columns],
        unwatched_notes=text_format.unwatched_notes,
        watched_text=text_format.watched_text,
        type_changes_text=text_format.type_changes_text,
        iso=iso,
        json=_settings_text,
    )
    environment.globals.update(
        links=links,
        assets={name: links.prefix + asset.url for name, asset in assets.items()},
        STATE_WORDS=text_format.STATE_WORDS,
        REASON_WORDS=text_format.REASON_WORDS,
        kind_of=text_format.state_kind,
        SYMBOL=text_format.KIND_SYMBOLS,
        WORD=text_format.KIND_WORDS,
        counted_quantity=view_models.counted_quantity,
        present_reasons=own_health_page.present_reasons,
    )
    return environment


def _settings_text(value: object) -> str:
    return text_format.truncate(json.dumps(value, indent=1, sort_keys=True), _MAX_SETTINGS_CHARS)


def _printable(value: object, max_chars: int) -> str:
    return text_format.truncate(text_format.escape_invisible(str(value)), max_chars)
