"""Training, resuming and comparing, from data to a finished run."""
