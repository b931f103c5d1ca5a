"""Replays checks over history, and predicts how often the daemon will page."""
