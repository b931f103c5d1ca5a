"""The page Prometheus scrapes."""
