"""What the daemon knows now, immutable: one snapshot, read by metrics and web alike."""
