"""What every room speaks: columns, spans, settings, windows of time, the clock, plugins, bytes, hashes."""
