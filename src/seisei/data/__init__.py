"""Reading data: where it is, what is wrong with it, and how it is divided."""
