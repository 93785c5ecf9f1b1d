"""Scanning and packing images."""
