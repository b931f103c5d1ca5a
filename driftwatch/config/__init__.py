"""The configuration: models of its keys, loading it, writing a first one."""
