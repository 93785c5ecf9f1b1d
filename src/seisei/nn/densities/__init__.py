"""Densities fitted in closed form or by EM: Gaussian, full covariance, PPCA; and PCA."""
