"""Accepting what an incident found as the new normal, and taking that back."""
