"""The running process: the only threads, the only clock, the only sockets."""
