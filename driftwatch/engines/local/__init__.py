"""The engine that counts rows on this machine, in child processes with limits and a deadline."""
