"""Tables while they are read: column types, roles, encoding."""
