"""Population Hessian and gradient matrices."""
