"""What is usual for a monitor: histories of shares and scores, design effects, predictions."""
