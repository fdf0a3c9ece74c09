"""Networks in use: what becomes of an image before, exported files, and their answers."""
