"""The wall clock beside one that nobody sets: which time is believed."""
