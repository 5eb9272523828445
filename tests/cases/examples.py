"""A rule, a data law and a model of one's own: one file (``tests/contract/examples.py``) and one
line each."""

import jax.numpy as jnp

import sgdlimits as sl
from tests.cases.case import Case
from tests.contract.examples import DecoupledDecay, LinearRegression, TwoScales
from tests.models.custom_examples import regression

_TANH = sl.Network(lambda v, s: jnp.sum(v * jnp.tanh(s)), width=2)
_SIGNS = sl.Teacher(
    lambda f, z: jnp.sign(f[0] + 0.3 * f[1] + 0.5 * z), gram=[[1.0, 0.3], [0.3, 0.8]]
)


def _logistic(output, label):
    return jnp.logaddexp(0.0, -label[0] * output)


CASES = [
    Case(
        "logistic-teacher",
        sl.MultiIndexModel(data=_SIGNS, network=_TANH, loss=_logistic),
        sl.OnlineSGD(),
    ),
    Case("own-rule", sl.SpikedTensor(snr=2.0), sl.OnlineSGD(0.6, rule=DecoupledDecay(0.4))),
    Case("own-data", LinearRegression(TwoScales()), sl.OnlineSGD(step=0.5, batch=2)),
    Case(
        "own-model", LinearRegression(sl.Teacher(lambda f, z: f[0] + z)), sl.OnlineSGD(step=0.5),
        slow=True,
    ),
    Case("custom", regression(), sl.OnlineSGD(step=0.5), slow=True),
]  # fmt: skip
