"""Where production inputs come from; one file each, found by its name."""
