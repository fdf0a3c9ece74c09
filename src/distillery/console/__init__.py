"""What a person sees of a workflow that runs: its runs as they end, time left, and the outcome."""
