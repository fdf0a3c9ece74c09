"""What a run is: its key, its directory, how it is produced, checked and adopted."""
