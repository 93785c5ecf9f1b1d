"""Images while they are read."""
