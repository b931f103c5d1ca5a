"""What became of each column in one window: evidence, a breakage, or a reason why nobody could look."""
