"""Both ways between a person's things and tensors, a file for each kind."""
