"""Engines count rows into summaries; each is a plugin."""
