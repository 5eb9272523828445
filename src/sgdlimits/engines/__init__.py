"""The same process at several magnifications: sgd, chain, sde, ode."""
