"""Table rows as network inputs and as distributions."""
