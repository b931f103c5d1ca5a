"""Past windows looked at again: owed ones, and decided ones for rows that came late."""
