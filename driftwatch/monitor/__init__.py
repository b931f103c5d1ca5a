"""One check of one monitor: read its tiles, evaluate the window, record the verdict."""
