"""Switch JAX to double precision, once, before any array exists, and see that it stays so.

Every module of the package that uses JAX imports JAX from here or after here: the chain resolves
increments of size 1/d on statistics of size 1, which single precision loses at d of about 10^6.
"""

import os

import jax

jax.config.update("jax_enable_x64", True)


_used = _forked = False


def _after_fork() -> None:
    global _forked
    _forked = _used


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def require() -> None:
    """Raise RuntimeError if somebody switched double precision off again, or forked after use."""
    global _used
    _used = True
    if _forked:
        raise RuntimeError(
            "This process was forked after JAX, whose threads do not survive that, was used: it "
            "would hang. Start processes afresh: multiprocessing.get_context('spawn'), or a Dask "
            "cluster with sweep(client=...)."
        )
    if not jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
        raise RuntimeError(
            "jax_enable_x64=False: JAX would compute in single precision what results call double; "
            "expected True, as the import of sgdlimits sets it: "
            'jax.config.update("jax_enable_x64", True). For vectors in single precision use '
            'engine="sgd" with dtype="float32".'
        )
