"""Switch JAX to double precision, once, before any array exists.

Every module of the package that uses JAX imports JAX from here or after here: the chain resolves
increments of size 1/d on statistics of size 1, which single precision loses at d of about 10^6.
"""

import jax

jax.config.update("jax_enable_x64", True)
