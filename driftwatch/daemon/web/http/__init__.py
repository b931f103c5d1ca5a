"""The HTTP server and what every answer passes through."""
