"""What a params file says: its typed schema, its checks, and how it is read."""
