"""What becomes of incidents and acceptances when a reference, a setting or a monitor changes."""
