"""Pages for people and JSON for programs."""
