"""What a page says of columns and of joint detectors, beside the effects of single detectors."""
