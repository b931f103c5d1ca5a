"""What is done when the history is damaged or lost: its ledger, setting it aside, checks and backups."""
