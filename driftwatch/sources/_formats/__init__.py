"""Lists files and reads each file format."""
