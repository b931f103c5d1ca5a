"""The demo: the real daemon on a bundled stream, replayed fast."""
