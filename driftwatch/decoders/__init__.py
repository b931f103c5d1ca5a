"""Decoders turn messages in one column into rows; each is a plugin."""
