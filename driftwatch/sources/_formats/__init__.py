"""Files: which ones a glob names, and how each format is read."""
