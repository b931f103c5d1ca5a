"""Verbs of the command line, one file each.

Imports that load numpy or pydantic are inside functions, so that ``VERB --help`` and completion take 0.06 s
instead of 0.7 s.
"""
