"""Network parts: no family, no data, no training."""
