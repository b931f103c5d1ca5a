"""The steps that build the database schema: only appended, never edited; each runs in one transaction.

An empty step makes an older driftwatch refuse the store: one comes with each new version of a stored format.
"""

from __future__ import annotations

_VERSION_1 = (
    """CREATE TABLE reference_versions (
        fingerprint TEXT NOT NULL, monitor TEXT NOT NULL, source_key TEXT NOT NULL,
        stored_at INTEGER NOT NULL, parent TEXT, content BLOB NOT NULL,
        PRIMARY KEY (monitor, fingerprint))""",
    """CREATE TABLE active_references (
        monitor TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, since INTEGER NOT NULL)""",
    """CREATE TABLE blocks (
        monitor TEXT NOT NULL, fingerprint TEXT NOT NULL, segment TEXT NOT NULL, start INTEGER NOT NULL,
        content BLOB NOT NULL, PRIMARY KEY (monitor, fingerprint, segment, start)) WITHOUT ROWID""",
    """CREATE TABLE tiles (
        monitor TEXT NOT NULL, segment TEXT NOT NULL, start INTEGER NOT NULL, version INTEGER NOT NULL,
        plan TEXT NOT NULL, source_version TEXT NOT NULL, rows INTEGER NOT NULL, content BLOB NOT NULL,
        PRIMARY KEY (monitor, segment, start, version)) WITHOUT ROWID""",
    """CREATE TABLE verdicts (
        monitor TEXT NOT NULL, segment TEXT NOT NULL, window_end INTEGER NOT NULL,
        state TEXT NOT NULL, evidence REAL, page INTEGER NOT NULL, decided_at INTEGER NOT NULL,
        content TEXT NOT NULL, PRIMARY KEY (monitor, segment, window_end)) WITHOUT ROWID""",
    """CREATE TABLE tracks (
        monitor TEXT NOT NULL, segment TEXT NOT NULL, content BLOB NOT NULL,
        PRIMARY KEY (monitor, segment)) WITHOUT ROWID""",
    """CREATE TABLE checkpoints (
        id INTEGER PRIMARY KEY, monitor TEXT NOT NULL, segment TEXT NOT NULL,
        decided_until INTEGER NOT NULL, content BLOB NOT NULL)""",
    "CREATE INDEX checkpoints_by_time ON checkpoints (monitor, segment, decided_until, id)",
    """CREATE TABLE incidents (
        key TEXT PRIMARY KEY, monitor TEXT NOT NULL, segment TEXT NOT NULL, kind TEXT NOT NULL,
        columns TEXT NOT NULL, opened_at INTEGER NOT NULL, onset INTEGER NOT NULL,
        resolved_at INTEGER, resolution TEXT, muted_until INTEGER, content TEXT NOT NULL)""",
    "CREATE INDEX incidents_open ON incidents (monitor, resolved_at)",
    """CREATE TABLE outbox (
        id INTEGER PRIMARY KEY, sink TEXT NOT NULL, key TEXT NOT NULL, kind TEXT NOT NULL,
        monitor TEXT NOT NULL, segment TEXT NOT NULL, message TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'pending', attempts INTEGER NOT NULL DEFAULT 0,
        next_at INTEGER NOT NULL, created_at INTEGER NOT NULL, reason TEXT NOT NULL DEFAULT '',
        UNIQUE (sink, key, kind))""",
    "CREATE INDEX outbox_due ON outbox (state, next_at)",
    """CREATE TABLE acknowledgements (
        id INTEGER PRIMARY KEY, monitor TEXT NOT NULL, incident TEXT NOT NULL, verdict TEXT NOT NULL,
        until INTEGER, note TEXT NOT NULL, who TEXT NOT NULL, asked_at INTEGER NOT NULL,
        applied_at INTEGER, outcome TEXT NOT NULL DEFAULT '')""",
)

_VERSION_2 = (
    # Part 0 is the reference, the others are its blocks in order.
    """CREATE TABLE trial_references (
        monitor TEXT NOT NULL, part INTEGER NOT NULL, source_key TEXT NOT NULL, segment TEXT NOT NULL,
        content BLOB NOT NULL, PRIMARY KEY (monitor, part)) WITHOUT ROWID""",
    # The states with which a rebased reference came into force: it has no blocks to learn from.
    """CREATE TABLE beginnings (
        monitor TEXT NOT NULL, fingerprint TEXT NOT NULL, segment TEXT NOT NULL, content BLOB NOT NULL,
        PRIMARY KEY (monitor, fingerprint, segment))""",
)

_VERSION_3 = (
    # Counts never shrink; the running trial is the segment state with its injected fault.
    """CREATE TABLE selftests (
        monitor TEXT PRIMARY KEY, begun_at INTEGER, detected INTEGER NOT NULL, missed INTEGER NOT NULL,
        false_alarm INTEGER NOT NULL, abandoned INTEGER NOT NULL, delay_windows INTEGER NOT NULL,
        measured_at INTEGER, trial BLOB)""",
    """CREATE TABLE selftest_trials (
        monitor TEXT NOT NULL, begun_at INTEGER NOT NULL, ended_at INTEGER NOT NULL,
        column_name TEXT NOT NULL, fault TEXT NOT NULL, size REAL NOT NULL, within INTEGER NOT NULL,
        outcome TEXT NOT NULL, delay INTEGER, named INTEGER NOT NULL,
        PRIMARY KEY (monitor, begun_at)) WITHOUT ROWID""",
)

_VERSION_4 = (
    # The configuration behind a verdict's hash, without secrets, so that old verdicts stay readable.
    """CREATE TABLE configurations (
        monitor TEXT NOT NULL, fingerprint TEXT NOT NULL, first_at INTEGER NOT NULL, content TEXT NOT NULL,
        PRIMARY KEY (monitor, fingerprint))""",
    # Years of windows are listed and counted without touching their statistics.
    """CREATE INDEX verdicts_listed ON verdicts (
        monitor, segment, window_end, state, evidence, page, decided_at)""",
)

_VERSION_5 = (
    # Their verdict may still be replaced. ``waited``: nanoseconds in which the source answered without rows.
    """CREATE TABLE owed_windows (
        monitor TEXT NOT NULL, window_end INTEGER NOT NULL, window_start INTEGER NOT NULL,
        waited INTEGER NOT NULL, answered_at INTEGER, PRIMARY KEY (monitor, window_end)) WITHOUT ROWID""",
    # Rows that came after their window was decided, judged together; parts count from 1.
    """CREATE TABLE late_parts (
        monitor TEXT NOT NULL, segment TEXT NOT NULL, window_end INTEGER NOT NULL, part INTEGER NOT NULL,
        state TEXT NOT NULL, page INTEGER NOT NULL, decided_at INTEGER NOT NULL, judged INTEGER NOT NULL,
        content TEXT NOT NULL, PRIMARY KEY (monitor, segment, window_end, part)) WITHOUT ROWID""",
    # The order in which windows and parts were judged; where null, that of their ends.
    "ALTER TABLE verdicts ADD COLUMN judged INTEGER",
    "CREATE INDEX verdicts_judged ON verdicts (monitor, segment, judged) WHERE judged IS NOT NULL",
    "CREATE INDEX late_parts_judged ON late_parts (monitor, segment, judged)",
    "ALTER TABLE checkpoints ADD COLUMN judged INTEGER",
)

_VERSION_6 = (
    # Files that ended their reader, by a hash of their source's settings. Tried again with another size or
    # mtime (nanoseconds), under other conditions (versions and limits), and after a time.
    """CREATE TABLE quarantined_files (
        source TEXT NOT NULL, path TEXT NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL,
        mtime INTEGER NOT NULL, reason TEXT NOT NULL, conditions TEXT NOT NULL, until INTEGER NOT NULL,
        PRIMARY KEY (source, path)) WITHOUT ROWID""",
    # One row: the wall clock as it was last believed, beside a steady clock.
    """CREATE TABLE clock_readings (
        boot TEXT NOT NULL PRIMARY KEY, offset INTEGER NOT NULL, read_at INTEGER NOT NULL) WITHOUT ROWID""",
    # The monitor that the newest start of the daemon began with; one row.
    "CREATE TABLE daemon_start (id INTEGER PRIMARY KEY CHECK (id = 1), first_monitor TEXT NOT NULL)",
    # JSON, of an incident that is open in several segments; null: in that of its ``segment``.
    "ALTER TABLE incidents ADD COLUMN segments TEXT",
    # Over the cells that never change (``damage.SEALS``); null in rows of older versions.
    *(
        f"ALTER TABLE {table} ADD COLUMN checksum INTEGER"
        for table in (
            "reference_versions",
            "active_references",
            "blocks",
            "tiles",
            "verdicts",
            "tracks",
            "checkpoints",
            "incidents",
            "outbox",
            "acknowledgements",
            "trial_references",
            "beginnings",
            "selftests",
            "selftest_trials",
            "configurations",
            "owed_windows",
            "late_parts",
        )
    ),
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    _VERSION_1,
    _VERSION_2,
    _VERSION_3,
    _VERSION_4,
    _VERSION_5,
    _VERSION_6,
)
