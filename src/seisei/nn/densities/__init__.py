"""Densities that are fitted in closed form or by EM."""
