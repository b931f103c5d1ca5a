"""Incidents: one per cause, opened by a page, updated by what follows, ended when its columns are back."""
