"""HTTP server and request handling."""
