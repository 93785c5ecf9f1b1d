"""Causal Transformer decoder over codes: blocks with RoPE, KV cache, decoding, sampling (top-k, top-p, min-p)."""
