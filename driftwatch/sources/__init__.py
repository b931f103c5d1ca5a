"""Sources read production inputs; each is a plugin, found by its file name."""
