"""Open incidents over the segments of a monitor: how they change, how they end, what is said of both."""
