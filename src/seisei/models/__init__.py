"""What you ship: a chapter for each family."""
