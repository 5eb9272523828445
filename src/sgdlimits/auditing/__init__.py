"""Whether statistics close, and at which step size: Theorem 2.2's conditions by Monte Carlo."""
