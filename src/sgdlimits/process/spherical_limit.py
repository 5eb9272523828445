"""Projected SGD: every row of the first layer is divided by its norm after each step.

To first order in the step a free increment (dv, dM, dQ) of a state with Q_ii = 1 becomes

    dM_i -> dM_i - M_i dQ_ii/2,   dQ_ij -> dQ_ij - Q_ij (dQ_ii + dQ_jj)/2,

dQ_ii including its part of order step. Arnaboldi, Krzakala, Loureiro and Stephan (2023), eq. (21)
and (34).
"""

import jax.numpy as jnp
import numpy as np

from sgdlimits.statistics.overlaps import Statistics


def tangent(u: Statistics, rate: Statistics) -> Statistics:
    """A rate of change of free rows at ``u``, as it is with projection; Q_ii rests exactly."""
    half = jnp.diagonal(rate.Q) / 2
    Q = rate.Q - u.Q * (half[:, None] + half[None, :])
    Q = jnp.where(np.eye(Q.shape[0], dtype=bool), 0.0, Q)
    return Statistics(rate.v, rate.M - u.M * half[:, None], Q)
