"""How long phase retrieval stays at its random start: rates, thresholds, annealed and quenched.

Projected SGD on a committee of squares, f = (1/p) sum s_j^2, y = s*^2 + sqrt(noise) z. At a random
start on the sphere the overlaps are O(dim^-1/2) and the risk is flat: linearise there.

Time here is t = steps * step / dim, as everywhere in this package. Arnaboldi, Krzakala, Loureiro
and Stephan (2023) use t / width: their rates are ``width`` times ours, their times ours / width.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import integrate, special, stats

from sgdlimits import _validate
from sgdlimits.closed_forms.exit_law import ExitLaw
from sgdlimits.closed_forms.phase_retrieval_exit_law import Escape, exit_law
from sgdlimits.formulas import formula

_NODES = 32  # of the average over the overlaps of neurons with each other: they hardly matter


@dataclass(frozen=True)
class Mediocrity:
    """The linearised escape of projected phase retrieval from a random start.

    dM = overlap_rate * M dt and dQ_jl = -alignment_rate * Q_jl dt (j != l), about M = 0, Q = I,
    second layer fixed at ones, noise of the labels of variance ``noise``.

    The exit time is the first time at which the excess risk has fallen by the fraction ``drop`` of
    its initial value.

    Args:
        step: gamma, the learning rate times dimension.
        noise: Delta, variance of the label noise.
        width: p, the number of neurons.

    Raises:
        TypeError, ValueError: if ``step`` is not above 0, ``noise`` negative or ``width`` below 1.
    """

    step: float
    noise: float = 0.0
    width: int = 1

    def __post_init__(self) -> None:
        """Check the arguments."""
        object.__setattr__(self, "step", _validate.positive("step", self.step))
        object.__setattr__(self, "noise", _validate.nonnegative("noise", self.noise))
        object.__setattr__(self, "width", _validate.integer("width", self.width, 1))

    # -- rates -------------------------------------------------------------------------------------

    @property
    @formula("asymptotic", "Arnaboldi et al. (2023), (35)-(41)")
    def overlap_rate(self) -> float:
        """omega_M = (4/p) [1 - (step/p)(1 + 1/p + 4/p^2 + noise/2)], per unit of our time.

        Arnaboldi et al. (2023), eqs. (35)-(41), whose omega_M is p times this. Positive if and only
        if the teacher is found from a random start.

        Status: asymptotic.
        """
        return 4 / self.width * (1 - self.step / largest_step(self.noise, self.width))

    @property
    @formula("asymptotic", "Arnaboldi et al. (2023), (41)")
    def alignment_rate(self) -> float:
        """omega_Q = (8/p^2)(1 - 8 step/p^2), per unit of our time.

        The rate at which overlaps between neurons are forgotten; Arnaboldi et al. (2023), eq. (41),
        whose omega_Q is p times this.

        Status: asymptotic.
        """
        p = self.width
        return 8 / p**2 * (1 - 8 * self.step / p**2)

    @property
    @formula(
        "asymptotic",
        "Gaussian moments; p = 1: Arnaboldi et al. (2023)",
    )
    def noise_variance(self) -> float:
        """dim times the variance of each M_j that SGD adds per unit of our time, at M = 0, Q = I.

        (4 step/p^2)(10 - 6/p + 8/p^2 + noise), the same and uncorrelated for all neurons. The
        paper's sigma^2 = (step/(p dim))(48 + 4 noise), per unit of its time, is its case p = 1.

        Status: asymptotic.
        """
        p = self.width
        return 4 * self.step / p**2 * (10 - 6 / p + 8 / p**2 + self.noise)

    @property
    @formula("asymptotic", "Gaussian moments")
    def alignment_noise_variance(self) -> float:
        """dim times the variance of each Q_jl, j != l, that SGD adds per unit of our time.

        (step/p^2) E[(4 e + 4 (step/p) e^2)^2 s_j^2 s_l^2] at M = 0, Q = I, with the residual
        e = s*^2 - (1/p) sum s_j^2 + sqrt(noise) z. Moments without label noise are derivatives of
        E[exp(x e) s_j^2 s_l^2] = (1 - 2x)^-1/2 (1 + 2x/p)^-(p/2 + 2). Asymptotic; 0 for width 1.

        Status: asymptotic.
        """
        p, g, noise = self.width, self.step / self.width, self.noise
        if p == 1:
            return 0.0
        g0, g1, g2, g3, g4 = (
            math.factorial(n)
            * sum(_power(-0.5, -2.0, k) * _power(-p / 2 - 2, 2 / p, n - k) for k in range(n + 1))
            for n in range(5)
        )
        second = g2 + noise * g0
        third = g3 + 3 * noise * g1
        fourth = g4 + 6 * noise * g2 + 3 * noise**2 * g0
        return 16 * g / p * (second + 2 * g * third + g * g * fourth)

    # -- exit times of the ODE ---------------------------------------------------------------------

    @formula("heuristic", "Arnaboldi et al. (2023), (46)")
    def exit_from(self, overlap: float, alignment: float, dim: int, drop: float) -> float:
        """Exit time of the linearised ODE from a given start.

        log{[T p(p+1) dim + (2 p mu - tau)(1 - T)] / (2 p mu)} / (2 overlap_rate), T = drop; the
        argument of the mean in Arnaboldi et al. (2023), eq. (46).

        Status: heuristic; the linearisation is followed up to the drop.

        Args:
            overlap: mu = dim * sum_j M_j^2, of mean p at a random start.
            alignment: tau = dim * sum_{j != l} Q_jl^2, of mean p(p - 1) at a random start.
            dim: dimension.
            drop: T, the fraction of the initial excess risk that is lost, between 0 and 1.

        Returns:
            Time in units of steps * step / dim; inf if the overlap does not grow.

        Raises:
            ValueError: if an argument is out of range, or the overlaps between neurons alone lower
                the risk by ``drop`` (``alignment`` too large for this ``dim``).
        """
        overlap = _validate.positive("overlap", overlap)
        alignment = _validate.nonnegative("alignment", alignment)
        dim, drop = _check(dim, drop)
        most = self.width * dim
        if overlap > most:
            raise ValueError(
                f"overlap={overlap!r}: rows of norm 1 have at most width * dim = {most}."
            )
        if self.overlap_rate <= 0:
            return math.inf
        gain = self._gain(overlap, alignment, dim, drop)
        if gain <= 1:
            raise ValueError(
                f"alignment={alignment!r}: at dim={dim} the overlaps between neurons alone lower "
                f"the excess risk by drop={drop!r}; raise dim or drop."
            )
        return math.log(gain) / (2 * self.overlap_rate)

    @formula("heuristic", "Arnaboldi et al. (2023), (10), (47)")
    def annealed_exit(self, dim: int, drop: float) -> float:
        """Exit time of the mean start: log{(p + 1)[T dim + 1 - T]/(2p)} / (2 overlap_rate).

        Arnaboldi et al. (2023), eqs. (10) and (47); their time is ours / p. ``dim``, ``drop``,
        result and errors as in ``exit_from``.

        Status: heuristic; the linearisation is followed up to the drop.
        """
        p = self.width
        return self.exit_from(float(p), float(p * (p - 1)), dim, drop)

    @formula("heuristic", "Arnaboldi et al. (2023), (10), (46), (48)")
    def quenched_exit(self, dim: int, drop: float) -> float:
        """Mean exit time of the linearised ODE over random starts, at least ``annealed_exit``.

        Arnaboldi et al. (2023), eqs. (10), (46), (48); their time is ours / p. mu ~ chi2_p and
        tau ~ 2 chi2_{p(p-1)/2} independent, their law as dim -> infinity. ``dim``, ``drop`` as in
        ``exit_from``; inf if the overlap does not grow.

        Status: heuristic; the linearisation is followed up to the drop.
        """
        return self._mean_exit(dim, drop)

    def _mean_exit(self, dim: int, drop: float) -> float:
        """Mean of log(gain)/(2 overlap_rate) over random starts."""
        dim, drop = _check(dim, drop)
        if self.overlap_rate <= 0:
            return math.inf
        p = self.width
        pairs = p * (p - 1) // 2
        x, weights = np.polynomial.legendre.leggauss(_NODES)
        taus = 2 * stats.chi2.ppf((x + 1) / 2, pairs) if pairs else np.zeros(1)
        weights = weights / 2 if pairs else np.ones(1)
        lowest = drop * p * (p + 1) * dim - taus.max() * (1 - drop)
        if lowest <= 0:
            raise ValueError(
                f"dim={dim}, drop={drop!r}: too small for width={p}; the overlaps between neurons "
                "of a random start lower the risk by as much."
            )

        def at(mu: float) -> float:
            top = drop * p * (p + 1) * dim + (2 * p * mu - taus) * (1 - drop)
            return float(weights @ np.log(top / (2 * p))) * float(stats.chi2.pdf(mu, p))

        # log(mu) is averaged by formula; what is left is smooth, its density at most x^-1/2 at 0.
        far = stats.chi2.isf(1e-17, p)
        mean_log = _quad(lambda root: 2 * root * at(root * root), 0, math.sqrt(far))
        log_mu = special.digamma(p / 2) + math.log(2)
        return float(mean_log - log_mu) / (2 * self.overlap_rate)

    def _gain(self, mu: float, tau: float, dim: int, drop: float) -> float:
        p = self.width
        return (drop * p * (p + 1) * dim + (2 * p * mu - tau) * (1 - drop)) / (2 * p * mu)

    # -- what the noise of SGD changes -------------------------------------------------------------

    @property
    @formula("heuristic", "variance of the linearised diffusion")
    def noise_gain(self) -> float:
        """log(1 + a)/(2 overlap_rate), a = noise_variance/(2 overlap_rate), in our time.

        By how much the noise of SGD shortens the mean exit time of a random start, whatever dim:
        it adds a to the variance 1 of sqrt(dim) M_j before the overlap is macroscopic. p = 1:
        log(4/mu)/(2 mu), mu = overlap_rate. Not in the paper, which finds that the noise does not
        matter. Asymptotic, drop*dim -> infinity and then drop -> 0.

        Status: heuristic; the constant of the linearisation; the noise is that of Gaussian inputs.
        """
        if self.overlap_rate <= 0:
            return math.inf
        return math.log1p(self._added) / (2 * self.overlap_rate)

    @formula("asymptotic", "noise of SGD near the start, the flow up to the threshold")
    def exit_law(self, dim: int, drop: float, seed: int = 0) -> ExitLaw:
        """Law of the exit time of SGD from a random start: mean, quantiles, and an error.

        The noise of SGD near the start, where it matters, and the nonlinear flow up to the
        threshold; see ``phase_retrieval_exit_law``. Its ``error`` is that of the mean. Right as
        drop * dim -> infinity; the exact chain is met within 2 % at drops from 0.1 and dimensions
        from 500, widths 1 to 3.

        Args:
            dim: dimension.
            drop: T, the fraction of the initial excess risk that is lost, between 0 and 1.
            seed: of the points that the law is made of.

        Status: asymptotic. The noise is that of Gaussian inputs: it is not universal.

        Raises:
            ValueError: for arguments out of range, or if overlaps between neurons grow too (step
                above width^2/8).
        """
        dim, drop = _check(dim, drop)
        if self.overlap_rate <= 0:
            return ExitLaw(np.full(1, np.inf), 0.0)
        if self.width > 1 and self.alignment_rate <= 0:
            raise ValueError(
                f"step={self.step!r}: expected below width^2/8 = {self.width**2 / 8}; overlaps "
                "between neurons grow, and the start is unstable in their direction too."
            )
        sustained = self.alignment_noise_variance / (2 * self.alignment_rate)
        escape = Escape(
            self.step, self.noise, self.width, self.overlap_rate, self._added, sustained
        )  # fmt: skip
        return exit_law(escape, dim, drop, _validate.integer("seed", seed, 0))

    @formula("asymptotic", "mean of exit_law")
    def noisy_exit(self, dim: int, drop: float) -> float:
        """Mean exit time of SGD from a random start: that of ``exit_law``.

        Less than ``quenched_exit`` by ``noise_gain`` as drop * dim -> infinity and drop -> 0; at
        larger drops the flow's bending counts, -log(1 - T)/(2 overlap_rate) for width 1.
        inf if the overlap does not grow, or the drop is never reached. Status: asymptotic.

        Raises:
            ValueError: as ``exit_law``.
        """
        return self.exit_law(dim, drop).mean

    @property
    def _added(self) -> float:
        return self.noise_variance / (2 * self.overlap_rate)

    def steps(self, time: float, dim: int) -> float:
        """Number of SGD steps (samples) in a time: time * dim / step."""
        time = _validate.nonnegative("time", time)
        return time * _validate.integer("dim", dim, 1) / self.step


@formula("asymptotic", "Arnaboldi et al. (2023), after (7), corrected")
def largest_step(noise: float = 0.0, width: int = 1) -> float:
    """The learning threshold: steps below p/(1 + 1/p + 4/p^2 + noise/2) find the teacher.

    The step at which ``Mediocrity.overlap_rate`` vanishes. p = 1: 2/(12 + noise), not the 1/6 that
    is printed after eq. (7) of Arnaboldi et al. (2023), right for noise = 0 only.

    Status: asymptotic.
    """
    noise, p = _validate.nonnegative("noise", noise), _validate.integer("width", width, 1)
    return p / (1 + 1 / p + 4 / p**2 + noise / 2)


@formula("heuristic", "Arnaboldi et al. (2023), Appendix E.4")
def optimal_step(noise: float = 0.0, width: int = 1) -> float:
    """gamma_opt, the step that minimises the number of samples to the exit: half the largest.

    p^3/(8 + 2p + (2 + noise) p^2), Arnaboldi et al. (2023), Appendix E.4; p = 1: 1/(12 + noise).

    Status: heuristic; of the linearised exit.
    """
    return largest_step(noise, width) / 2


@formula("heuristic", "Arnaboldi et al. (2023), Appendix E.4")
def fewest_steps(dim: int, drop: float, noise: float = 0.0, width: int = 1) -> float:
    """Number of samples to the annealed exit at ``optimal_step``.

    dim [8 + 2p + (2 + noise) p^2]/(4 p^2) log{(p + 1)(T dim + 1 - T)/(2p)}. Arnaboldi et al.
    (2023), Appendix E.4.

    Status: heuristic; of the linearised exit.
    """
    best = Mediocrity(optimal_step(noise, width), noise, width)
    return best.steps(best.annealed_exit(dim, drop), dim)


@formula("heuristic", "Arnaboldi et al. (2023), Appendix E.4")
def width_gain(dim: int, drop: float, noise: float = 0.0, width: float = math.inf) -> float:
    """fewest_steps at width 1 over that at ``width``: what overparametrisation can save.

    At infinite width it tends to (12 + noise)/(2 + noise) as dim -> infinity, but only like
    1/log(dim), from above. Arnaboldi et al. (2023), Appendix E.4.

    Status: heuristic; of the linearised exit.

    Args:
        dim, drop: as in ``Mediocrity.exit_from``.
        noise: Delta.
        width: number of neurons, or inf.

    Raises:
        TypeError, ValueError: for bad arguments, or a random start that is out already.
    """
    one = fewest_steps(dim, drop, noise)
    if width != math.inf:
        return one / fewest_steps(dim, drop, noise, _validate.integer("width", width, 1))
    dim, drop = _check(dim, drop)
    log = math.log((drop * dim + 1 - drop) / 2)
    if log <= 0:
        raise ValueError(f"dim={dim!r}: random starts have lost drop={drop!r} of the risk already.")
    return one / (dim * (2 + noise) / 4 * log)


def _check(dim: int, drop: float) -> tuple[int, float]:
    dim, drop = _validate.integer("dim", dim, 2), _validate.positive("drop", drop)
    if drop > 1:
        raise ValueError(f"drop={drop!r}: expected a fraction of the risk, at most 1.")
    return dim, drop


def _power(exponent: float, factor: float, n: int) -> float:
    """Coefficient of theta^n in (1 + factor theta)^exponent."""
    return math.prod((exponent - k) / (k + 1) for k in range(n)) * factor**n


def _quad(function, low: float, high: float) -> float:
    value, _ = integrate.quad(function, low, high, epsabs=1e-13, epsrel=1e-11, limit=400)
    return float(np.asarray(value))
