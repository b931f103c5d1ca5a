"""The state of the history's file and disk, and who is told of it."""
