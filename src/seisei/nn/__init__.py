"""Building blocks of networks: independent of model family, data and training."""
