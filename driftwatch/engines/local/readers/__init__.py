"""Reader processes seen from their parent: starting, asking, ending, and which piece ended one."""
