"""The engine of this machine: rows are counted in child processes with limits and a deadline."""
