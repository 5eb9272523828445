"""Spiked matrices and tensors: batches, ridges, the sphere, orders."""

import sgdlimits as sl
from tests.cases.case import Case

# The literal sample of a tensor has dim^order entries, and its gradient heavy tails.
_POINTS = sl.SpikedStatistics([0.45, -0.3, 0.0, 0.7], [0.36, 0.8, 1.0, 0.0])


def _spiked(name, order, snr, ridge, sgd, **options) -> Case:
    return Case(name, sl.SpikedTensor(order=order, snr=snr, ridge=ridge), sgd, _POINTS, **options)


CASES = [
    _spiked("matrix-ridge-batch", 2, 2.0, 0.3, sl.OnlineSGD(step=0.6, batch=3), engines=True),
    _spiked("cubic-ridge", 3, 4.0, 0.2, sl.OnlineSGD(step=0.3)),
    Case(
        "matrix-sphere", sl.SpikedTensor(snr=2.0), engines=True,
        sgd=sl.OnlineSGD(step=0.6, spherical=True, schedule=sl.schedules.power(0.5)),
    ),
    Case(
        "matrix-momentum", sl.SpikedTensor(snr=2.0, ridge=0.3), slow=True,
        sgd=sl.OnlineSGD(step=0.6, rule=sl.rules.momentum(decay=1.3)),
    ),
    _spiked("matrix", 2, 1.2, 0.0, sl.OnlineSGD(step=1.0), slow=True),
    _spiked("quartic", 4, 5.0, 0.0, sl.OnlineSGD(step=0.1), slow=True),
]  # fmt: skip
