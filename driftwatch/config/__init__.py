"""The configuration: its schema, loading it with file and line in every error, writing a first one."""
