"""What a page says beside the effects of single detectors."""
