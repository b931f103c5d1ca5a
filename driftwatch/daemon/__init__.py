"""The running process, which owns all threads, the clock and all sockets."""
