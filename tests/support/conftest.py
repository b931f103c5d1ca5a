"""A project of its own: its doctests run where it is installed."""

collect_ignore = ["outside_plugins"]
