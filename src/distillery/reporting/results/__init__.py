"""What an experiment found: collected by a stage, and read for the report."""
