"""What detectors share: columns side by side, cells as arrays, p-values, effects in plain words."""
