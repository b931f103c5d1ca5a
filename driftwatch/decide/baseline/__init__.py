"""The baseline of a monitor: histories, design effects, score models, predictions.

Names of array axes: ``window`` (oldest first), ``stream``, ``score``, ``label`` (one share of a stream).
"""
