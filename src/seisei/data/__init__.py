"""Reading data: sources, validation, train/validation/test splits."""
