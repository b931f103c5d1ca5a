"""Encodes Arrow arrays as event times, numbers, texts and levels."""
