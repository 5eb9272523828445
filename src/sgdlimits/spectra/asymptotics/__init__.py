"""Sharp asymptotics of Hessian and gradient matrices."""
