"""The pages people read, rendered on the server."""
