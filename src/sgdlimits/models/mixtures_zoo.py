"""The mixture classification problems of the papers."""

import numpy as np
from numpy.typing import ArrayLike

from sgdlimits import _resources, _validate
from sgdlimits.data.mixture import GaussianMixture
from sgdlimits.models.losses import binary_cross_entropy, softmax_cross_entropy
from sgdlimits.models.mixtures_with_formulas import ReluMixture, SoftmaxMixture
from sgdlimits.models.network import Network, linear, two_layer_relu


def binary_gmm(
    snr: ArrayLike = 100.0, ridge: float = 0.1, width: int = 2, *, tolerance: float | None = None
) -> ReluMixture:
    """Two classes at ±mu, |mu| = 1, equally likely; a two-layer ReLU network with a sigmoid.

    At width 2: 7 statistics (v, m, and the upper triangle of Q).

    Args:
        snr: lambda, one number or one per class; inf is the zero-noise limit.
        ridge: alpha.
        width: number of neurons.
        tolerance: of expectations, as in ``MultiIndexModel``.

    Raises:
        TypeError, ValueError: for arguments that do not fit.

    Source: Ben Arous, Gheissari and Jagannath (2022), section 4.
    """
    data = GaussianMixture([[1.0], [-1.0]], [1, 0], snr=snr)
    network = Network(two_layer_relu, width=width, kinks=(0.0,))
    return ReluMixture(
        data=data, network=network, loss=binary_cross_entropy, ridge=ridge, tolerance=tolerance
    )


def xor_gmm(
    snr: ArrayLike = 1000.0, ridge: float = 0.1, width: int = 4, *, tolerance: float | None = None
) -> ReluMixture:
    """Four equally likely classes: label 1 at ±mu, label 0 at ±nu, orthonormal mu and nu.

    4 width + width (width - 1)/2 statistics: v, M = (m^mu, m^nu), and the upper triangle of Q.

    Args:
        snr: lambda, one number or one per class; inf is the zero-noise limit.
        ridge: alpha (beta in the sequel).
        width: number K of neurons.
        tolerance: of expectations, as in ``MultiIndexModel``.

    Raises:
        TypeError, ValueError: for arguments that do not fit.

    Source: Ben Arous, Gheissari and Jagannath (2022), section 5; Ben Arous, Gheissari, Huang and
    Jagannath (2023), section 5.4.
    """
    data = GaussianMixture([[1, 0], [-1, 0], [0, 1], [0, -1]], [1, 1, 0, 0], snr=snr)
    network = Network(two_layer_relu, width=width, kinks=(0.0,))
    return ReluMixture(
        data=data, network=network, loss=binary_cross_entropy, ridge=ridge, tolerance=tolerance
    )


def k_gmm(
    classes: int | None = None,
    means_gram: ArrayLike | None = None,
    probabilities: ArrayLike | None = None,
    snr: ArrayLike = 10.0,
    ridge: float = 0.01,
    *,
    tolerance: float | None = None,
) -> SoftmaxMixture:
    """k classes with one mean each, softmax regression; no second layer, so v has length 0.

    Args:
        classes: number k of classes with orthonormal means; or
        means_gram: Gram matrix of linearly independent means.
        probabilities: of the classes; default equal.
        snr: lambda, one number or one per class; inf is the zero-noise limit.
        ridge: beta.
        tolerance: of expectations, as in ``MultiIndexModel``.

    Raises:
        ValueError: unless exactly one of ``classes`` and ``means_gram`` is given (or they agree).

    Source: Ben Arous, Gheissari, Huang and Jagannath (2023), section 5.2.
    """
    if classes is None and means_gram is None:
        raise ValueError("classes=None, means_gram=None: expected one of them.")
    if means_gram is None:
        gram = np.eye(_validate.integer("classes", classes, 2, _resources.MOST_ROWS))
    elif np.ndim(means_gram) == 0:  # type: ignore[arg-type]
        raise TypeError(
            f"means_gram={means_gram!r}: expected the Gram matrix of the means; for the "
            "signal-to-noise ratio write snr=."
        )
    else:
        gram = np.array(_validate.gram("means_gram", means_gram))
    k = len(gram)
    if classes is not None and classes != k:
        raise ValueError(f"classes={classes!r}: means_gram has {k} rows; leave one of them out.")
    data = GaussianMixture(np.eye(k), np.eye(k), gram=gram, probabilities=probabilities, snr=snr)
    network = Network(linear, width=k, layer=0)
    return SoftmaxMixture(
        data=data, network=network, loss=softmax_cross_entropy, ridge=ridge, tolerance=tolerance
    )
