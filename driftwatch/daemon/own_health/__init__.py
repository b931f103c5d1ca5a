"""What the daemon knows of itself: its loops, its store, its clock, and what it could not do lately."""
