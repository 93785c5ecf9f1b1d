"""Tokens without a network: pixels and bytes."""
