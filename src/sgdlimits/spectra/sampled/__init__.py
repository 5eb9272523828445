"""Hessian and gradient matrices of samples, matrix-free."""
