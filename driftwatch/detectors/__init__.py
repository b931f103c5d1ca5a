"""Detectors measure, they never decide; one file each, found by its name."""
