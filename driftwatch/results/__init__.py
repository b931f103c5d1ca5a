"""What detectors yield and a check decides: statistics, streams, verdicts, and the words people read."""
