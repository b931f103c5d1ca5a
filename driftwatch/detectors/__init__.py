"""Detectors, which measure but never decide: each is one module, loaded by its name."""
