"""Style transfer: AdaIN and Gram statistics, color transfer, feature extractors, decoder."""
