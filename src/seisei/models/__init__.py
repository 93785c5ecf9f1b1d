"""Models: what a run saves; one module per family."""
