"""Vector quantization: EMA, gradient and SimVQ codebooks, FSQ, LFQ, residual and product quantization."""
