"""Spiked matrices and tensors."""

from typing import Any

import jax
import jax.numpy as jnp

from sgdlimits import OnlineSGD, SpikedStatistics, SpikedTensor
from sgdlimits.models.spiked_tensor import _ChainNoise
from tests.cases.case import Case


class MeanChiSquare(SpikedTensor):
    """A chain that forgets the fluctuations of the noise outside the plane of x and v."""

    def chain_noise(self, key: Any, steps: int, constants: Any) -> _ChainNoise:
        noise = super().chain_noise(key, steps, constants)
        mean = jnp.broadcast_to(constants.mean, jax.eval_shape(lambda: noise.chi_square).shape)
        return noise._replace(chi_square=mean)


def _spiked(name, order, snr, ridge, step, time, steps, small_dims=(2, 3, 12)) -> Case:
    points = SpikedStatistics([0.45, -0.3, 0.0, 0.7, 0.0], [0.36, 0.8, 1.0, 0.0, 0.0])
    arguments = {"order": order, "snr": snr, "ridge": ridge}
    return Case(
        name,
        SpikedTensor(**arguments),
        OnlineSGD(step=step),
        points,
        small_dims,
        60,
        time,
        steps,
        # With x along the spike the noise makes all of r2, and none of it is linear.
        SpikedStatistics(0.7, 0.0),
        MeanChiSquare(**arguments),
    )


CASES = [
    _spiked("matrix", 2, 1.2, 0.0, 1.0, 0.5, 30),
    _spiked("matrix-ridge", 2, 2.0, 0.3, 0.6, 0.5, 30),
    _spiked("cubic-ridge", 3, 4.0, 0.2, 0.3, 0.2, 12),
    _spiked("quartic", 4, 5.0, 0.0, 0.2, 0.2, 8, (2, 3, 6)),
]
