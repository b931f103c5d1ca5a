"""The tables of the history, a class for each; ``history.py`` writes several in one transaction."""
