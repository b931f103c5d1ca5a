"""What is kept of rows: counts on frozen cells, a row sample, sums. Numpy only; no file, clock or network."""
