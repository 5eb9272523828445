"""Benchmarks of networks on Gaussian mixtures; each row is a ratio measured in one run."""

import importlib.util
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp
from scipy.special import expit
from scipy.stats import norm, qmc

import sgdlimits as sl
from sgdlimits.expectations.rules import QuasiMonteCarlo, TruncatedGauss
from timing import normals, on_one_core, ratios, seconds, summary

WIDTH, RIDGE = 4, 0.1
MODEL = sl.xor_gmm(snr=1000.0, ridge=RIDGE, width=WIDTH)
CHAIN_NORMALS = 7  # two along the means, four along the neurons, one for the chi-square
MEANS = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
LABELS = np.array([1.0, 1, 0, 0])
ODE_SNR, ODE_TIME = 10.0, 50.0


# -- chain -----------------------------------------------------------------------------------------


def chain(dim: int, runs: int, steps: int) -> Callable[[], object]:
    time = steps / dim
    return lambda: sl.simulate(MODEL, dim=dim, time=time, runs=runs, record=2, progress=False).v


def chain_against_normals() -> tuple[str, str, str]:
    runs, steps = 1000, 8192
    values = ratios(normals(runs * steps * CHAIN_NORMALS), chain(250, runs, steps))
    return (
        "chain, XOR width 4, 1000 runs: throughput over the RNG-bound rate",
        "≥ 0.4",
        summary(values),
    )


def chain_flat_in_dim() -> tuple[str, str, str]:
    values = ratios(chain(10**7, 1000, 4096), chain(250, 1000, 4096))
    return "chain: cost per step at d = 10⁷ over d = 250", "0.9 – 1.1", summary(values)


# -- real SGD --------------------------------------------------------------------------------------


def sgd(dim: int, runs: int, steps: int, dtype: str) -> Callable[[], object]:
    return lambda: sl.simulate(
        MODEL, engine="sgd", dim=dim, time=steps / dim, runs=runs, record=2, dtype=dtype,
        progress=False,
    ).v  # fmt: skip


def sgd_against_normals(dim: int, runs: int, dtype: str) -> tuple[str, str, str]:
    steps = 20_000_000 // (dim * runs) if dim > 1000 else 400
    values = ratios(normals(steps * runs * dim, dtype), sgd(dim, runs, steps, dtype))
    name = f"sgd in {dtype}, d = {dim}, {runs} runs: throughput over the RNG-bound rate"
    return name, "≥ 0.5", summary(values)


def numpy_step(v, W, frame, rng) -> tuple[np.ndarray, np.ndarray]:
    """One step of one run, as a script would write it."""
    d = W.shape[1]
    c = rng.integers(4)
    x = MEANS[c] @ frame + rng.standard_normal(d) / np.sqrt(1000.0)
    s = W @ x
    hidden = np.maximum(s, 0)
    error = expit(v @ hidden) - LABELS[c]
    dv = error * hidden + RIDGE * v
    dW = np.outer(error * v * (s > 0), x) + RIDGE * W
    return v - dv / d, W - dW / d


def sgd_against_numpy(dim: int) -> tuple[str, str, str]:
    steps, numpy_steps, runs = 400, 2000, 200 if dim < 1000 else 32
    rng = np.random.default_rng(0)
    frame = np.eye(2, dim)

    def script() -> None:
        v, W = rng.standard_normal(WIDTH), rng.standard_normal((WIDTH, dim)) / dim**0.5
        for _ in range(numpy_steps):
            v, W = numpy_step(v, W, frame, rng)

    values = ratios(script, sgd(dim, runs, steps, "float64"))
    name = f"NumPy loop over sgd, per run and step, d = {dim}"
    return name, "reported", summary(values, steps * runs / numpy_steps)


def sgd_against_torch(dim: int) -> tuple[str, str, str]:
    name = f"PyTorch loop with autograd over sgd, per run and step, d = {dim}"
    if importlib.util.find_spec("torch") is None:
        return name, "reported", "not measured: PyTorch is not installed"
    import torch  # type: ignore[import-not-found]

    steps, torch_steps, runs = 400, 1000, 200 if dim < 1000 else 32

    def script() -> None:
        v = torch.randn(WIDTH, requires_grad=True)
        W = (torch.randn(WIDTH, dim) / dim**0.5).requires_grad_()
        optimiser = torch.optim.SGD([v, W], lr=1 / dim, weight_decay=RIDGE)
        means = torch.zeros(4, dim)
        means[:, :2] = torch.tensor(MEANS, dtype=torch.float32)
        labels = torch.tensor(LABELS, dtype=torch.float32)
        for _ in range(torch_steps):
            c = int(torch.randint(4, ()))
            x = means[c] + torch.randn(dim) / 1000**0.5
            output = v @ torch.relu(W @ x)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(output, labels[c])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    values = ratios(script, sgd(dim, runs, steps, "float32"))
    return name, "reported", summary(values, steps * runs / torch_steps)


# -- ODE -------------------------------------------------------------------------------------------


def _start() -> sl.Statistics:
    rng = np.random.default_rng(0)
    M = 0.3 * rng.standard_normal((WIDTH, 2))
    return sl.Statistics(rng.standard_normal(WIDTH), M, M @ M.T + np.eye(WIDTH))


def _dynamics(order: int | tuple[int, ...] = (4, 3, 2, 2)) -> sl.EffectiveDynamics:
    base = sl.xor_gmm(snr=ODE_SNR, ridge=RIDGE, width=WIDTH)
    model = sl.MultiIndexModel(
        data=base.data, network=base.network, loss=base.loss, ridge=RIDGE,
        rule=TruncatedGauss(WIDTH, order),
    )  # fmt: skip
    return sl.effective_dynamics(model)


def _numpy_field(log2_points: int) -> Callable[[float, np.ndarray], np.ndarray]:
    """The same drift with plain Sobol points, in NumPy."""
    u = qmc.Sobol(WIDTH, rng=0).random_base2(log2_points)
    z = norm.ppf(np.clip(u, 1e-12, 1 - 1e-12))
    template = _start()

    def field(t: float, y: np.ndarray) -> np.ndarray:
        v, M = y[:WIDTH], y[WIDTH : 3 * WIDTH].reshape(WIDTH, 2)
        Q = np.zeros((WIDTH, WIDTH))
        rows = np.triu_indices(WIDTH)
        Q[rows] = y[3 * WIDTH :]
        Q = Q + np.triu(Q, 1).T
        root = np.linalg.cholesky(Q + 1e-12 * np.eye(WIDTH))
        slope = np.linalg.solve(root, M).T
        h, gf, gs, gg = np.zeros(WIDTH), np.zeros((WIDTH, 2)), 0.0, 0.0
        for mean, label in zip(MEANS, LABELS, strict=True):
            s = M @ mean + z @ root.T / ODE_SNR**0.5
            f = mean + z @ slope.T / ODE_SNR**0.5
            hidden = np.maximum(s, 0)
            error = expit(hidden @ v) - label
            g = error[:, None] * v * (s > 0) / len(z) / 4
            h = h + error @ hidden / len(z) / 4
            gf, gs = gf + g.T @ f, gs + g.T @ s
            gg = gg + (g.T * (4 * len(z))) @ g / ODE_SNR
        drift_Q = gg - gs - gs.T - 2 * RIDGE * Q
        return np.concatenate([-h - RIDGE * v, (-gf - RIDGE * M).ravel(), drift_Q[rows]])

    assert len(field(0.0, np.asarray(template.vector))) == len(template.names)
    return field


def ode_against_scipy() -> tuple[str, str, str]:
    start, dynamics = _start(), _dynamics()
    y0 = np.asarray(start.vector)
    exact = np.asarray(
        _dynamics((10, 8, 5, 4)).solve(start, [ODE_TIME], rtol=1e-7, atol=1e-9).vector
    )[0]
    field = _numpy_field(13)

    def ours() -> np.ndarray:
        return np.asarray(dynamics.solve(start, [ODE_TIME], rtol=1e-4, atol=1e-6).vector)[0]

    def peer() -> np.ndarray:
        return solve_ivp(field, (0, ODE_TIME), y0, rtol=1e-4, atol=1e-6).y[:, -1]

    errors = [float(np.abs(solve() - exact).max()) for solve in (ours, peer)]
    values = ratios(peer, ours, rounds=3)
    name = (
        "SciPy `solve_ivp` on NumPy with 2^13 Sobol points over `solve`, XOR width 4, t = 50, rtol "
        f"1e-4 (errors at the end: {errors[1]:.0e} and {errors[0]:.0e}; ours takes "
        f"{seconds(ours):.2g} s)"
    )
    return name, "≥ 20", summary(values)


def ode_batch(count: int = 200) -> tuple[str, str, str]:
    start, dynamics = _start(), _dynamics()
    rng = np.random.default_rng(1)
    many = start.with_vector(
        jnp.asarray(np.asarray(start.vector) * (1 + 0.05 * rng.random((count, 1))))
    )
    options = {"times": [5.0], "rtol": 1e-4, "atol": 1e-6}
    values = ratios(
        lambda: dynamics.solve(many, **options).v, lambda: dynamics.solve(start, **options).v, 3
    )
    name = f"ODE: cost per start in a batch of {count} over one start alone"
    return name, "≤ 1", summary(values, 1 / count)


def ode_against_chain() -> tuple[str, str, str]:
    """What a user gets by default, both compiled already."""
    model, runs = sl.xor_gmm(snr=ODE_SNR, ridge=RIDGE, width=WIDTH), 200
    start = _start()

    def run(engine: str, runs: int) -> Callable[[], object]:
        return lambda: (
            sl.simulate(
                model,
                engine=engine,
                dim=100,
                time=ODE_TIME,
                runs=runs,
                initial=start,
                progress=False,
            ).v
        )

    values = ratios(run("ode", 1), run("chain", runs), rounds=3)
    name = f"default ODE over {runs} runs of the chain at d = 100, XOR width 4, t = 50"
    return name, "≤ 1", summary(values)


def drift_call() -> tuple[str, str, str]:
    """One call of ``drift`` from Python, its check of the error included."""
    dynamics = sl.effective_dynamics(sl.xor_gmm(snr=ODE_SNR, ridge=RIDGE, width=WIDTH))
    start = _start()
    dynamics.drift(start)
    best = min(seconds(lambda: dynamics.drift(start).v) for _ in range(20))
    return "`drift` of XOR width 4, one state, best of 20", "≤ 5 ms", f"{1e3 * best:.2f} ms"


def cost_against_width() -> tuple[str, str, str]:
    """Exponent between widths with the same rule (8 scrambles of 2^9 Sobol points)."""
    widths, times = (2, 4, 8, 16, 32, 64), []
    for width in widths:
        base = sl.xor_gmm(snr=ODE_SNR, ridge=RIDGE, width=width)
        model = sl.MultiIndexModel(
            data=base.data, network=base.network, loss=base.loss, ridge=RIDGE,
            rule=QuasiMonteCarlo(width, 9, split=False),
        )  # fmt: skip
        u = sl.initial(model, 1000, 1, 0)[0]
        drift = jax.jit(lambda u, model=model: model.drift(u, sl.OnlineSGD()).vector)
        drift(u)
        times.append(min(seconds(lambda u=u, drift=drift: drift(u)) for _ in range(5)))
    slope = np.polyfit(np.log(widths[2:]), np.log(times[2:]), 1)[0]
    listed = ", ".join(f"{k}: {t / times[0]:.3g}" for k, t in zip(widths, times, strict=True))
    name = f"right-hand side against width, 2^12 Sobol nodes (relative to K = 2: {listed})"
    return name, "exponent, K ≥ 8", f"{slope:.2f}"


BENCHMARKS = (
    chain_against_normals,
    lambda: on_one_core(chain_against_normals),
    chain_flat_in_dim,
    lambda: sgd_against_normals(250, 200, "float64"),
    lambda: on_one_core(sgd_against_normals, 250, 200, "float64"),
    lambda: sgd_against_normals(250, 200, "float32"),
    lambda: on_one_core(sgd_against_normals, 250, 200, "float32"),
    lambda: sgd_against_normals(5000, 32, "float64"),
    lambda: on_one_core(sgd_against_normals, 5000, 32, "float64"),
    lambda: sgd_against_normals(5000, 32, "float32"),
    lambda: on_one_core(sgd_against_normals, 5000, 32, "float32"),
    lambda: sgd_against_numpy(250),
    lambda: sgd_against_numpy(5000),
    lambda: sgd_against_torch(250),
    lambda: sgd_against_torch(5000),
    ode_against_scipy,
    ode_batch,
    ode_against_chain,
    drift_call,
    cost_against_width,
)

if __name__ == "__main__":
    from run import write_table

    write_table("mixtures", BENCHMARKS)
