"""How rows are written: structures, lists, numbers and times as texts, an index beside the data."""
