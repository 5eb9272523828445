"""Networks on Gaussian mixtures: unequal classes, means that are not orthogonal, trained layers."""

import sgdlimits as sl
from tests.cases.case import Case

_GRAM = [[1, 0.2, 0.1], [0.2, 1, -0.3], [0.1, -0.3, 1]]
_DECAYING = sl.schedules.power(0.5)

CASES = [
    Case(
        "two-classes",
        sl.k_gmm(means_gram=[[1, 0.3], [0.3, 0.8]], probabilities=[0.3, 0.7], snr=[0.7, 1.5]),
        sl.OnlineSGD(step=1.3),
        engines=True,
    ),
    Case(
        "xor-batch-schedule",
        sl.xor_gmm(snr=2.0, ridge=0.1, width=2),
        sl.OnlineSGD(step=1.0, batch=2, second_layer_rate=0.7, schedule=_DECAYING),
    ),
    Case("xor-width-1", sl.xor_gmm(snr=2.0, ridge=0.1, width=1), sl.OnlineSGD(), slow=True),
    Case(
        "binary", sl.binary_gmm(snr=2.0), sl.OnlineSGD(step=1.3, second_layer_rate=0.7), slow=True
    ),
    Case("xor-width-3", sl.xor_gmm(3.0, 0.05, 3), sl.OnlineSGD(step=0.7), slow=True),
    Case(
        "three-classes",
        sl.k_gmm(means_gram=_GRAM, probabilities=[0.5, 0.3, 0.2], snr=0.7, ridge=0.05),
        sl.OnlineSGD(step=1.3),
        slow=True,
    ),
]  # fmt: skip
