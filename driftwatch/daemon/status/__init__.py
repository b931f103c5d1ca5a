"""The daemon's current state as one immutable snapshot, read by metrics and web."""
