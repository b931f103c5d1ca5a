"""Notifiers, one file each; the file's name is the ``type`` in the configuration."""
