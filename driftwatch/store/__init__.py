"""The history: one SQLite file in WAL mode, one writing connection, one transaction per check."""
