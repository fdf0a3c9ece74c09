"""What an experiment found, in sentences that are made from numbers and their statistics."""
