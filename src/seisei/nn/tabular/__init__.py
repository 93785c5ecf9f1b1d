"""Tabular rows: network input features and output distributions."""
