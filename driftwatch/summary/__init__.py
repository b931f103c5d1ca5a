"""Mergeable summaries of rows: counts in frozen cells, row samples and sums, with no I/O and no clock."""
