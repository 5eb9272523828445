"""Benchmarks of teacher-student committees; each row is a ratio measured in one run."""

import importlib.util
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp

import sgdlimits as sl
from sgdlimits.limits.mean_field import MeanField, MeanFieldStatistics
from timing import normals, on_one_core, ratios, seconds, summary

WIDTH, TEACHER, STEP = 8, 4, 0.1
MODEL = sl.committee(WIDTH, TEACHER, "erf", noise=1e-3)
SGD = sl.OnlineSGD(step=STEP)
TIME = 10.0 * WIDTH  # 10 in the papers' time
FIELDS = WIDTH + TEACHER
#: Arcsines of one right-hand side: pairs of slopes times pairs of fields, then the kernels.
ARCSINES = WIDTH * (WIDTH + 1) // 2 * (FIELDS * (FIELDS + 1) // 2)


def start() -> sl.Statistics:
    return sl.initial(MODEL, 10_000, 1, seed=0)[0]


# -- right-hand side and trajectories --------------------------------------------------------------


def right_hand_side() -> tuple[str, str, str]:
    calls, u = 200, start()
    vector = u.vector

    @jax.jit
    def many(y):
        return jax.lax.scan(
            lambda y, _: (y + 1e-9 * MODEL.drift(u.with_vector(y), SGD).vector, None), y,
            length=calls,
        )[0]  # fmt: skip

    @jax.jit
    def arcsines(x):
        return jax.lax.scan(lambda x, _: (jnp.arcsin(x) * 0.6, None), x, length=calls)[0]

    x = jnp.linspace(-0.9, 0.9, ARCSINES)
    values = ratios(lambda: arcsines(x), lambda: many(vector))
    rate = calls / seconds(lambda: many(vector))
    name = f"erf p = 8, k = 4: right-hand side over the arcsine-bound rate ({rate:.0f} a second)"
    return name, "≥ 0.3", summary(values)


def numpy_field() -> Callable[[float, np.ndarray], np.ndarray]:
    """The same drift of two erf committees in NumPy, vectorised over pairs, without symmetry."""
    p, n = WIDTH, FIELDS
    w = np.concatenate([np.full(p, 1 / p), np.full(TEACHER, -1 / TEACHER)])
    rows = np.triu_indices(p)

    def field(t: float, y: np.ndarray) -> np.ndarray:
        M, Q = y[: p * TEACHER].reshape(p, TEACHER), np.zeros((p, p))
        Q[rows] = y[p * TEACHER :]
        Q = Q + np.triu(Q, 1).T
        C = np.block([[Q, M], [M.T, np.eye(TEACHER)]])
        one = 1 + np.diag(C)
        # E[sigma'_i u_l sigma_m] = (2/pi) (C_lm (1+C_ii) - C_il C_im) / ((1+C_ii) root)
        root = np.sqrt(one[:p, None] * one - C[:p] ** 2)
        weight = 2 / np.pi * w / root
        g = weight @ C - C[:p] * (weight * C[:p] / one[:p, None]).sum(1)[:, None]
        g = w[:p, None] * g
        # Four points: the law tilted by the two slopes is Gaussian.
        a = one[:p]
        det = a[:, None] * a - Q**2
        L, R = C[:p, None, :], C[None, :p, :]
        alpha = (a[None, :, None] * L - Q[..., None] * R) / det[..., None]
        beta = (a[:, None, None] * R - Q[..., None] * L) / det[..., None]
        T = C - alpha[..., :, None] * L[..., None, :] - beta[..., :, None] * R[..., None, :]
        spread = 1 / np.sqrt(1 + np.einsum("ijmm->ijm", T))
        angle = np.arcsin(T * spread[..., :, None] * spread[..., None, :])
        error = (2 / np.pi) ** 2 * (angle @ w) @ w / np.sqrt(det)
        gg = w[:p, None] * w[:p] * (error + MODEL.noise * 2 / np.pi / np.sqrt(det))
        dQ = -g[:, :p] - g[:, :p].T + STEP * gg
        return np.concatenate([-g[:, p:n].ravel(), dQ[rows]])

    return field


def trajectory() -> tuple[str, str, str]:
    u, dynamics, field = start(), sl.effective_dynamics(MODEL, SGD), numpy_field()
    y = np.asarray(u.vector)
    gap = float(np.abs(field(0.0, y) - np.asarray(dynamics.drift(u).vector)).max())
    assert gap < 1e-12, gap

    def ours() -> np.ndarray:
        return np.asarray(dynamics.solve(u, [TIME], rtol=1e-8, atol=1e-10).vector)[0]

    def peer() -> np.ndarray:
        return solve_ivp(field, (0, TIME), y, "LSODA", rtol=1e-8, atol=1e-10).y[:, -1]

    error = float(np.abs(ours() - peer()).max())
    values = ratios(peer, ours, rounds=3)
    name = (
        "SciPy `solve_ivp` (LSODA) on NumPy over `solve`, erf p = 8, k = 4, t = 10 p, rtol 1e-8 "
        f"(they differ by {error:.0e}; ours takes {seconds(ours):.2g} s)"
    )
    return name, "reported", summary(values)


def batch(count: int = 100) -> tuple[str, str, str]:
    dynamics, many = sl.effective_dynamics(MODEL, SGD), sl.initial(MODEL, 10_000, count, seed=1)
    values = ratios(
        lambda: dynamics.solve(many, [WIDTH]).M, lambda: dynamics.solve(many[0], [WIDTH]).M, 3
    )
    return f"ODE: cost per start in a batch of {count} over one", "≤ 1", summary(values, 1 / count)


# -- chain and real SGD ----------------------------------------------------------------------------


def chain(width: int, dim: int, runs: int, steps: int) -> Callable[[], object]:
    model = sl.phase_retrieval(width, noise=0.1)
    sgd = sl.OnlineSGD(step=0.02)
    return lambda: sl.simulate(
        model, sgd, dim=dim, time=steps * 0.02 / dim, runs=runs, record=2, progress=False
    ).M  # fmt: skip


def chain_against_normals(width: int, runs: int = 500, steps: int = 4096) -> tuple[str, str, str]:
    numbers = width + 3  # s, s*, the label's noise, the chi-square
    values = ratios(normals(runs * steps * numbers), chain(width, 1000, runs, steps), 5)
    name = f"chain, squares p = {width}, {runs} runs: throughput over the RNG-bound rate"
    return name, "≥ 0.4", summary(values)


def chain_against_numpy(dim: int, width: int = 2) -> tuple[str, str, str]:
    steps, runs, script_steps, rng = 4096, 100, 1000, np.random.default_rng(0)

    def script() -> None:
        W = rng.standard_normal((width, dim)) / dim**0.5
        teacher = np.eye(1, dim)[0]
        for _ in range(script_steps):
            x = rng.standard_normal(dim)
            s = W @ x
            error = (teacher @ x) ** 2 + 0.1**0.5 * rng.standard_normal() - np.mean(s**2)
            W += 0.02 / dim * np.outer(2 * s * error / width, x)

    values = ratios(script, chain(width, dim, runs, steps), 5)
    name = f"plain NumPy SGD over the chain, per run and step, squares p = 2, d = {dim}"
    return name, "reported", summary(values, steps * runs / script_steps)


def chain_against_torch(dim: int, width: int = 2) -> tuple[str, str, str]:
    name = f"PyTorch SGD with autograd over the chain, per run and step, squares p = 2, d = {dim}"
    if importlib.util.find_spec("torch") is None:
        return name, "reported", "not measured: PyTorch is not installed"
    import torch  # type: ignore[import-not-found]

    steps, runs, script_steps = 4096, 100, 1000

    def script() -> None:
        W = (torch.randn(width, dim) / dim**0.5).requires_grad_()
        optimiser = torch.optim.SGD([W], lr=0.02 / dim)
        for _ in range(script_steps):
            x = torch.randn(dim)
            label = x[0] ** 2 + 0.1**0.5 * torch.randn(())
            loss = 0.5 * (label - torch.mean((W @ x) ** 2)) ** 2
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    values = ratios(script, chain(width, dim, runs, steps), 5)
    return name, "reported", summary(values, steps * runs / script_steps)


# -- wide committees -------------------------------------------------------------------------------


def mean_field_trajectory(width: int = 10_000) -> tuple[str, str, str]:
    model, sgd = sl.phase_retrieval(width), sl.OnlineSGD(step=1.0)

    def solve() -> np.ndarray:
        data = sl.simulate(
            model, sgd, "mean_field", dim=1000, time=4.0 * width, record=9, progress=False
        )
        return data.risk.values

    seconds(solve)
    measured = sorted(seconds(solve) for _ in range(3))
    return f"mean field, squares, p = {width}, t = 4 p: seconds", "reported", summary(measured)


def mean_field_cost() -> tuple[str, str, str]:
    """Exponent in the width of one right-hand side, where the width and not the call costs."""
    widths, times = (10**4, 10**5, 10**6), []
    for width in widths:
        model, sgd, rng = sl.phase_retrieval(width), sl.OnlineSGD(), np.random.default_rng(0)
        u = MeanFieldStatistics(
            np.zeros(0), rng.standard_normal((width, 1)) / 30, 1 + 0.1 * rng.random(width)
        )
        drift = jax.jit(lambda u, model=model, sgd=sgd: MeanField().drift(model, u, sgd).vector)
        drift(u)
        times.append(min(seconds(lambda u=u, drift=drift: drift(u)) for _ in range(9)))
    slope = np.polyfit(np.log(widths), np.log(times), 1)[0]
    listed = ", ".join(f"{1e3 * t:.3g}" for t in times)
    name = f"mean field, squares: exponent of the cost of a right-hand side in p ({listed} ms)"
    return f"{name}, p = 10⁴, 10⁵, 10⁶", "≤ 1.1", f"{slope:.2f}"


BENCHMARKS = (
    right_hand_side,
    trajectory,
    batch,
    lambda: chain_against_normals(1),
    lambda: chain_against_normals(8),
    lambda: on_one_core(chain_against_normals, 1),
    lambda: on_one_core(chain_against_normals, 8),
    lambda: chain_against_numpy(1000),
    lambda: chain_against_numpy(3000),
    lambda: chain_against_numpy(10_000),
    lambda: chain_against_torch(1000),
    lambda: chain_against_torch(3000),
    lambda: chain_against_torch(10_000),
    mean_field_trajectory,
    mean_field_cost,
)

if __name__ == "__main__":
    from run import write_table

    write_table("committees", BENCHMARKS)
