"""The demo: the daemon on flight data of 2013, replayed fast."""
