"""What you train with."""
