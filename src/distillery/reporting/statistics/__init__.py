"""What a report concludes from several runs. Every test and interval belongs here."""
