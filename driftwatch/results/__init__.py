"""Results of detectors and checks: statistics, streams, verdicts, and their texts."""
