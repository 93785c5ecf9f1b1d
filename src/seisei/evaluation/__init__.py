"""How good a model is, and the page that says so."""
