"""Texts: lines, or blocks of running text."""
