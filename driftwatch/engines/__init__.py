"""Who counts the rows: a plan goes in, summaries come out; one file each."""
