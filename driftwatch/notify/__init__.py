"""Who is told; one file each, found by its name."""
