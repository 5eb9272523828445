"""Data laws from samples, and what the samples have that such a law cannot hold."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from sgdlimits import _validate
from sgdlimits.data.mixture import GaussianMixture
from sgdlimits.data.spectrum import Spectrum
from sgdlimits.data.teacher import Teacher
from sgdlimits.provenance import left_out

_MOST_CLASSES = 20
_FEW = 10  # samples per feature, below which spectra are visibly spread
_APART = 0.03  # share of squared covariances that matters
_HEAVY = 1.0  # excess kurtosis


class SamplesWarning(UserWarning):
    """Samples that are too few, or have what a Gaussian law in common blocks cannot hold."""


class Report(NamedTuple):
    """Of an estimate.

    Attributes:
        samples, features: how many there were.
        apart: share of the classes' squared covariances, on average, that lies between different
            principal directions of the pooled one: 0 if they commute; what samples give by chance
            is taken off.
        kurtosis: excess kurtosis of the noise along the principal directions, class by class,
            mean over them weighted by variance: 0 for a Gaussian.
        residual: share of the label's variance that a linear teacher leaves (regression), else 0.
        shrinkage: how far variances were moved towards their mean, class by class.
        directions: columns are the principal directions, in the order of the blocks; samples times
            these are what the law speaks of.
        centre: what is to be subtracted from samples before.
        frame: rows of the law's frame as the samples have them, in its coordinates.
    """

    samples: int
    features: int
    apart: float
    kurtosis: float
    residual: float
    directions: np.ndarray
    centre: np.ndarray
    frame: np.ndarray
    shrinkage: tuple[float, ...] = ()

    def coordinates(self, X: ArrayLike) -> np.ndarray:
        """Samples in the coordinates of the law."""
        return (np.asarray(X, dtype=float) - self.centre) @ self.directions


class EstimatedMixture(GaussianMixture):
    """A mixture by ``estimate``, with a ``report``."""

    report: Any = eqx.field(static=True, metadata=left_out(lambda report: True))

    def __init__(self, report: Report, *arguments: Any, **options: Any):
        self.report = _Held(report)
        super().__init__(*arguments, **options)


class EstimatedTeacher(Teacher):
    """A teacher by ``estimate``, with a ``report``."""

    report: Any = eqx.field(static=True, metadata=left_out(lambda report: True))

    def __init__(self, report: Report, *arguments: Any, **options: Any):
        self.report = _Held(report)
        super().__init__(*arguments, **options)


class LinearLabel(eqx.Module):
    """y = offset + f: a linear teacher."""

    offset: float

    def __call__(self, f: Float[Array, " directions"], z: Float[Array, ""]) -> Array:
        """The first projection."""
        return jnp.asarray(self.offset, f.dtype) + f[0]


class _Held:
    """A report as something static: equal only to itself."""

    def __init__(self, report: Report):
        self.report = report

    def __getattr__(self, name: str) -> Any:
        return getattr(self.report, name)

    def __repr__(self) -> str:
        r = self.report
        return (
            f"Report(samples={r.samples}, features={r.features}, apart={r.apart:.3g}, "
            f"kurtosis={r.kurtosis:.3g}, residual={r.residual:.3g}, "
            f"shrinkage={[round(x, 3) for x in r.shrinkage]})"
        )


def estimate(
    X: ArrayLike,
    y: ArrayLike,
    *,
    task: str = "auto",
    blocks: int | None = None,
    label: Callable[[int], Any] | None = None,
    shrinkage: float | str = "auto",
) -> EstimatedMixture | EstimatedTeacher:
    """The data law of samples: classes with means and covariances, or a linear teacher.

    Classes: the means, probabilities, and in the principal directions of the pooled covariance the
    variances of every class. Regression: the best linear teacher, and what it leaves of the label
    as a hidden Gaussian part. Neighbouring principal directions make up the blocks.

    Args:
        X: samples (samples, features).
        y: one label for each; classes are integers (or few distinct values).
        task: "classes", "regression", or "auto": classes if there are at most 20 values, all
            integers.
        blocks: how many; default 8, or the number of features where that is less.
        label: of classes, the number that the loss is given for the class (in sorted order of the
            values); default: y itself.
        shrinkage: how far variances along the principal directions are moved towards their mean:
            from 0 to 1; "ledoit-wolf", as far as it makes the covariance most accurate; or "auto":
            that for fewer than ten samples per feature, else 0.

    Returns:
        A ``GaussianMixture`` or ``Teacher``, whose ``report`` says how many samples there were, how
        well it fits, and turns samples into the law's coordinates.

    Raises:
        TypeError, ValueError: for arrays that do not fit.

    Warns:
        SamplesWarning: for fewer than ten samples per feature (and class), classes whose
            covariances do not commute, and tails that are not Gaussian.
    """
    table, labels = _checked(X, y)
    task = _validate.one_of("task", task, ("auto", "classes", "regression"))
    values = np.unique(labels)
    if task == "auto":
        whole = bool((values == np.round(values)).all())
        task = "classes" if whole and len(values) <= _MOST_CLASSES else "regression"
    features = table.shape[1]
    count = min(8, features) if blocks is None else blocks
    count = _validate.integer("blocks", count, 1, features)
    shrink = _Shrink.create(shrinkage)
    if task == "regression":
        return _teacher(table, labels, count, shrink)
    if len(values) > _MOST_CLASSES:
        raise ValueError(f"y: {len(values)} classes; expected at most {_MOST_CLASSES}.")
    return _mixture(table, labels, values, count, label, shrink)


class _Shrink(NamedTuple):
    """How far variances are moved towards their mean; None: as Ledoit and Wolf say."""

    amount: float | None
    always: bool

    @classmethod
    def create(cls, given: float | str) -> "_Shrink":
        """Checked."""
        if isinstance(given, str):
            _validate.one_of("shrinkage", given, ("auto", "ledoit-wolf"))
            return cls(None, given != "auto")
        amount = _validate.nonnegative("shrinkage", given)
        if amount > 1:
            raise ValueError(f"shrinkage={given!r}: expected a number from 0 to 1.")
        return cls(float(amount), True)

    def of(self, noise: np.ndarray) -> float:
        """For centred samples."""
        if self.amount is not None:
            return self.amount
        few = len(noise) < _FEW * noise.shape[1]
        return ledoit_wolf(noise) if self.always or few else 0.0


def ledoit_wolf(noise: Float[np.ndarray, "samples features"]) -> float:
    """The share of mean(variances) I in a mixture with the sample covariance S that is best.

    In mean square, for centred samples x: sum |x xᵀ - S|^2/n^2 over |S - mean I|^2, at most 1.

    Source: Ledoit and Wolf (2004). Asymptotic.
    """
    count, features = noise.shape
    S = noise.T @ noise / count
    square = float((S * S).sum())
    apart = square - float(np.trace(S)) ** 2 / features
    spread = float(((noise * noise).sum(1) ** 2).mean()) - square
    return float(np.clip(spread / count / apart, 0.0, 1.0)) if apart > 0 else 0.0


def _checked(X: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    try:
        table, labels = np.asarray(X, dtype=float), np.asarray(y, dtype=float)
    except (TypeError, ValueError) as error:
        raise TypeError("X, y: expected arrays of numbers.") from error
    if table.ndim != 2 or len(table) < 3 or labels.shape != (len(table),):
        raise ValueError(
            f"X has shape {table.shape}, y {labels.shape}: expected (samples, features) and "
            "(samples,), with three samples or more."
        )
    if not (np.isfinite(table).all() and np.isfinite(labels).all()):
        raise ValueError("X, y: expected finite numbers.")
    return table, labels


def _principal(noise: np.ndarray, count: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Directions by decreasing variance, and the numbers of those in each block."""
    _, vectors = np.linalg.eigh(noise.T @ noise)
    return vectors[:, ::-1], np.array_split(np.arange(noise.shape[1]), count)


def _mixture(
    X: np.ndarray, y: np.ndarray, values: np.ndarray, count: int, label: Any, shrink: _Shrink
) -> EstimatedMixture:
    member = [y == value for value in values]
    sizes = np.array([inside.sum() for inside in member])
    if sizes.min() < 3:
        raise ValueError(f"y: a class has {sizes.min()} samples; expected three or more.")
    means = np.stack([X[inside].mean(0) for inside in member])
    noise = X - means[np.searchsorted(values, y)]
    directions, groups = _principal(noise, count)
    rotated = noise @ directions
    scale = (sizes / (sizes - 1))[:, None]
    variances = scale * np.stack([(rotated[inside] ** 2).mean(0) for inside in member])
    shares = tuple(shrink.of(noise[inside]) for inside in member)
    variances = np.stack([_shrunk(v, share) for v, share in zip(variances, shares, strict=True)])
    eigenvalues = np.stack([variances[:, group].mean(1) for group in groups], axis=1)
    F, coefficients = _frame(means @ directions)
    gram = np.stack([F[:, group] @ F[:, group].T for group in groups])
    report = _report(X, rotated, member, directions, np.zeros(X.shape[1]), 0.0, F)
    report = report._replace(shrinkage=shares)
    _warn(report, int(sizes.min()), len(values) > 1)
    sizes_of_blocks = [len(group) / X.shape[1] for group in groups]
    given = values if label is None else [label(i) for i in range(len(values))]
    return EstimatedMixture(
        report, coefficients, np.asarray(given, dtype=float), gram=gram,
        probabilities=sizes / len(y),
        covariance=Spectrum(eigenvalues, sizes_of_blocks),
    )  # fmt: skip


def _shrunk(variances: np.ndarray, share: float) -> np.ndarray:
    return (1 - share) * variances + share * variances.mean()


def _frame(means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Independent directions, and the means' coefficients in them."""
    left, sizes, right = np.linalg.svd(means, full_matrices=False)
    kept = sizes > 1e-9 * max(float(sizes[0]), 1e-300)
    if not kept.any():
        raise ValueError("X: all class means are zero; shift the samples, or use a teacher.")
    return right[kept], left[:, kept] * sizes[kept]


def _teacher(X: np.ndarray, y: np.ndarray, count: int, shrink: _Shrink) -> EstimatedTeacher:
    centre, offset = X.mean(0), float(y.mean())
    noise, label = X - centre, y - offset
    directions, groups = _principal(noise, count)
    rotated = noise @ directions
    free = max(1, len(y) - 1)
    variances, share = (rotated**2).sum(0) / free, shrink.of(noise)
    weights, residual = _linear(rotated, label, variances, share)
    variances = _shrunk(variances, share)
    # With common eigenvalues in a block the covariances of the label with inputs stay what they
    # are: what a teacher within the block loses by that is hidden too.
    each = np.empty_like(variances)
    for group in groups:
        each[group] = variances[group].mean()
    seen = each > 1e-12 * each.max()
    common = np.where(seen, variances * weights / np.where(seen, each, 1.0), 0.0)
    lost = float(variances @ weights**2 - each @ common**2)
    gram = np.stack([[[common[group] @ common[group]]] for group in groups])
    total = float(label @ label) / free
    unseen = residual / total if total > 0 else 0.0
    whole = [np.ones(len(y), bool)]
    report = _report(X, rotated, whole, directions, centre, unseen, common[None])
    report = report._replace(shrinkage=(share,))
    _warn(report, len(y), False)
    eigenvalues = [variances[group].mean() for group in groups]
    return EstimatedTeacher(
        report, LinearLabel(offset), gram=gram, hidden=np.array([[residual + max(lost, 0.0)]]),
        covariance=Spectrum(eigenvalues, [len(group) / X.shape[1] for group in groups]),
    )  # fmt: skip


def _linear(
    rotated: np.ndarray, label: np.ndarray, variances: np.ndarray, share: float
) -> tuple[np.ndarray, float]:
    """Weights of the best linear teacher, and the variance that it leaves.

    Without shrinkage by least squares, with the degrees of freedom that are left. With shrinkage
    samples may be fewer than features, where least squares would leave nothing: weights are then
    shortened so far that they explain what is beyond chance, and the rest of the label is left.
    """
    free = max(1, len(label) - 1)
    if share == 0:
        weights = np.linalg.lstsq(rotated, label, rcond=None)[0]
        left = label - rotated @ weights
        degrees = max(1, free - np.linalg.matrix_rank(rotated))
        return weights, float(left @ left) / degrees
    shrunk, cross = _shrunk(variances, share), rotated.T @ label / free
    total = float(label @ label) / free
    safe = np.where(shrunk > 0, shrunk, 1.0)
    explained = float(cross**2 @ (1 / safe))
    by_chance = total / free * float(variances @ (1 / safe))
    kept = min(max(0.0, explained - by_chance), total)
    scale = np.sqrt(kept / explained) if explained > 0 else 0.0
    return scale * cross / safe, total - kept


def _report(
    X: np.ndarray,
    rotated: np.ndarray,
    member: list[np.ndarray],
    directions: np.ndarray,
    centre: np.ndarray,
    residual: float,
    frame: np.ndarray,
) -> Report:
    apart = kurtosis = 0.0
    for inside in member:
        share, part = inside.mean(), rotated[inside]
        covariance = np.cov(part.T).reshape(X.shape[1], X.shape[1])
        square = float((covariance**2).sum())
        own = np.diagonal(covariance)
        by_chance = float(own.sum() ** 2 - (own**2).sum()) / len(part)
        between = max(0.0, square - float((own**2).sum()) - by_chance)
        apart += share * between / square if square > 0 else 0.0
        second, fourth = (part**2).mean(0), (part**4).mean(0)
        seen = second > 1e-12 * second.max(initial=0.0)
        if seen.any():
            excess = fourth[seen] / second[seen] ** 2 - 3
            kurtosis += share * float(np.average(excess, weights=second[seen]))
    samples, features = X.shape
    return Report(samples, features, apart, kurtosis, residual, directions, centre, frame)


def _warn(report: Report, samples: int, classes: bool) -> None:
    """Of samples that are few in the smallest class, and what the law cannot hold."""
    said = []
    if samples < _FEW * report.features:
        said.append(
            f"{samples} samples of {report.features} features: eigenvalues and means are noisy"
        )
    if classes and report.apart > _APART:
        said.append(
            f"covariances of the classes do not commute: {report.apart:.0%} of their squares lie "
            "between the common directions, which the law leaves out"
        )
    if abs(report.kurtosis) > _HEAVY:
        said.append(f"tails are not Gaussian: mean excess kurtosis {report.kurtosis:.2g}")
    if said:
        warnings.warn("; ".join(said) + ".", SamplesWarning, stacklevel=4)
