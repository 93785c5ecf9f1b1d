"""The autoregressive Transformer: blocks, KV cache, decoding, sampling."""
