"""Switch JAX to double precision, once, before any array exists, and see that it stays so.

Every module of the package that uses JAX imports JAX from here or after here: the chain resolves
increments of size 1/d on statistics of size 1, which single precision loses at d of about 10^6.
"""

import jax

jax.config.update("jax_enable_x64", True)


def require() -> None:
    """Raise RuntimeError if somebody switched double precision off again."""
    if not jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
        raise RuntimeError(
            "jax_enable_x64=False: JAX would compute in single precision what results call double; "
            "expected True, as the import of sgdlimits sets it: "
            'jax.config.update("jax_enable_x64", True). For vectors in single precision use '
            'engine="sgd" with dtype="float32".'
        )
