"""Warm child processes that read foreign bytes with limits and a deadline, and return summaries."""
