"""What a person asks of runs: how far they are, what is in them, what differs, to do one again."""
