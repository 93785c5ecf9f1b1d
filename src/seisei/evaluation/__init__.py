"""Evaluation of trained models: metrics and figures."""
