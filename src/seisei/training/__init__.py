"""One loop for every family, and a run on disk."""
