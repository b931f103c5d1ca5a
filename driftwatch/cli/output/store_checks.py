"""Prints what a check of the history found."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from driftwatch.results.text_format import escape_invisible
from driftwatch.store.recovery.integrity import StoreCheck

#: Damaged rows in the table for people; JSON has all.
_MAX_ROWS = 50


def show_check(check: StoreCheck, *, as_json: bool) -> None:
    if as_json:
        data = {
            "file": str(check.path),
            "schema": check.schema,
            "sound": check.is_sound,
            "structure": list(check.structure),
            "rows": dict(check.rows),
            "faults": [asdict(item) for item in check.faults],
        }
        click.echo(json.dumps(data, ensure_ascii=True))
        return
    for problem in check.structure:
        click.echo(escape_invisible(f"structure: {problem}"))
    for item in check.faults[:_MAX_ROWS]:
        click.echo(escape_invisible(f"{item.table}, {item.key}: {item.detail}"))
    if len(check.faults) > _MAX_ROWS:
        click.echo(f"and {len(check.faults) - _MAX_ROWS:,} more; --format json lists all")
    click.echo(f"{check.path}: {_summary(check)}")


def _summary(check: StoreCheck) -> str:
    if check.structure:
        return (
            "unusable. Stop the daemon and restore a backup with `driftwatch store restore`; else the next "
            "start sets the file aside and begins anew"
        )
    rows = f"{sum(count for _, count in check.rows):,} rows of schema {check.schema}"
    if check.faults:
        return f"{rows}, {len(check.faults):,} of them damaged: each costs what it says, and the rest is used"
    return f"{rows}, all sound"
