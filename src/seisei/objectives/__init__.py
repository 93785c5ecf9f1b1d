"""Objectives: the losses that models are trained with."""
