"""Checks one window of a monitor: reads its tiles, evaluates it and records the verdict."""
