"""Code that several detectors share."""
