"""E-values: what a share or a score of one window says against its null hypothesis."""
