"""Benchmarks of the spiked tensor's engines; each row is a ratio measured in one run."""

import subprocess
import sys
from collections.abc import Callable

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import sgdlimits as sl
from sgdlimits.limits.diffusion import WeakNoiseDiffusion
from timing import normals, ratios, summary

MODEL = sl.SpikedTensor(order=2, snr=1.2)
CHAIN_NORMALS = 3  # per step: two in the plane of v and x, one for the chi-square


def chain(dim: int, runs: int, steps: int) -> Callable[[], object]:
    time = steps / dim
    return lambda: sl.simulate(MODEL, dim=dim, time=time, runs=runs, record=2, progress=False).m


def chain_flat_in_dim() -> tuple[str, str, str]:
    values = ratios(chain(10**7, 1024, 8192), chain(10**3, 1024, 8192), rounds=11)
    return "chain: cost per step at n = 10⁷ over n = 10³", "0.9 – 1.1", summary(values)


def chain_against_normals() -> tuple[str, str, str]:
    runs, steps = 1024, 8192
    values = ratios(normals(runs * steps * CHAIN_NORMALS), chain(1000, runs, steps))
    return "chain, 1024 runs: throughput over the RNG-bound rate", "≥ 0.4", summary(values)


_MEMORY = """
import resource, sgdlimits as sl
sl.simulate(sl.SpikedTensor(2, 1.2), dim=1000, time={time}, runs=256, record=2, progress=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def chain_memory() -> tuple[str, str, str]:
    def peak(time: float) -> int:
        program = [sys.executable, "-c", _MEMORY.format(time=time)]
        return int(subprocess.run(program, capture_output=True, check=True, text=True).stdout)

    values = [peak(160.0) / peak(10.0) for _ in range(3)]
    return "chain: peak memory at 160 000 steps over 10 000 steps", "1", summary(values)


def sgd(dtype: str, steps: int = 60) -> Callable[[], object]:
    dim = 1500
    return lambda: sl.simulate(
        MODEL, engine="sgd", dim=dim, time=steps / dim, runs=200, record=2, dtype=dtype,
        progress=False,
    ).m  # fmt: skip


def sgd_against_normals(dtype: str) -> tuple[str, str, str]:
    values = ratios(normals(60 * 200 * 1500, dtype), sgd(dtype))
    name = f"sgd in {dtype}, n = 1500, 200 runs: throughput over the RNG-bound rate"
    return name, "≥ 0.5", summary(values)


def numpy_step(x: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One run's step with the literal n x n sample, as a script would write it."""
    n = x.size
    data = 1.2 * np.outer(v, v) + rng.standard_normal((n, n))
    gradient = -2 * (data + data.T) @ x + 4 * (x @ x) * x
    return x - gradient / n


def sgd_against_numpy() -> tuple[str, str, str]:
    n, steps, numpy_steps = 1500, 60, 6
    rng = np.random.default_rng(0)
    v = np.eye(n)[0]
    x = rng.standard_normal(n) / n**0.5

    def literal() -> None:
        y = x
        for _ in range(numpy_steps):
            y = numpy_step(y, v, rng)

    values = ratios(literal, sgd("float64", steps))
    per_run_step = (steps * 200) / numpy_steps
    name = "NumPy loop with literal n × n noise over sgd, per run and step, n = 1500"
    return name, "≥ 100", summary(values, per_run_step)


def sde_against_diffrax(tree: bool) -> tuple[str, str, str]:
    """The peer with its documented Brownian motion, and with its fastest one for fixed steps."""
    dim, steps, paths = 1000, 1000, 1000
    dt = 1.0 / steps
    diffusion = WeakNoiseDiffusion(MODEL, sl.OnlineSGD(), jnp.asarray(float(dim)))
    start = sl.initial(MODEL, dim, paths, seed=0).vector
    keys = jax.random.split(jax.random.key(0), paths)

    @eqx.filter_jit
    def peer(y0, keys):
        def one(y0, key):
            if tree:
                brownian = diffrax.VirtualBrownianTree(0.0, 1.0, tol=dt / 2, shape=(2,), key=key)
                adjoint = diffrax.RecursiveCheckpointAdjoint()
            else:
                brownian = diffrax.UnsafeBrownianPath(shape=(2,), key=key)
                adjoint = diffrax.DirectAdjoint()
            terms = diffrax.MultiTerm(
                diffrax.ODETerm(lambda t, y, args: diffusion.drift_vector(y)),
                diffrax.ControlTerm(lambda t, y, args: diffusion.factor(y), brownian),
            )
            solution = diffrax.diffeqsolve(
                terms, diffrax.Euler(), 0.0, 1.0, dt, y0, max_steps=steps + 1,
                adjoint=adjoint, saveat=diffrax.SaveAt(t1=True),
            )  # fmt: skip
            return solution.ys

        return jax.vmap(one)(y0, keys)

    def ours() -> object:
        return sl.simulate(
            MODEL, engine="sde", dim=dim, time=1.0, runs=paths, record=2, dt=dt, progress=False
        ).m

    values = ratios(lambda: peer(start, keys), ours, rounds=5)
    kind = "VirtualBrownianTree, defaults" if tree else "UnsafeBrownianPath, DirectAdjoint"
    name = f"diffrax Euler ({kind}) over sde, 1000 paths of 1000 steps"
    return name, "≥ 20" if tree else "reported", summary(values)


BENCHMARKS = (
    chain_flat_in_dim,
    chain_against_normals,
    chain_memory,
    lambda: sgd_against_normals("float64"),
    lambda: sgd_against_normals("float32"),
    sgd_against_numpy,
    lambda: sde_against_diffrax(tree=True),
    lambda: sde_against_diffrax(tree=False),
)

if __name__ == "__main__":
    from run import write_table

    write_table("spiked_tensor", BENCHMARKS)
