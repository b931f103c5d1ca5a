"""The loops of the daemon: when they last went on, and what becomes of one that does not."""
