"""Tables: what one is, how it is built, those of every report, and how they are written."""
