"""Discriminators, and the augmentation of their inputs."""
