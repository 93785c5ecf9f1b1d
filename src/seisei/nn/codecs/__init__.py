"""Codecs without a network, for pixels and bytes."""
