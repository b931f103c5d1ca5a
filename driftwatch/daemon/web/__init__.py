"""The web interface: HTML pages and a JSON API."""
