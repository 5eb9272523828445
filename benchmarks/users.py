"""What users run: defaults, once and in thousands, cold and warm, each beside its peer."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
from scipy.special import erf

import sgdlimits as sl
from run import write_table
from timing import Row, ratios, seconds, summary

WIDTH, TEACHER, DIM, STEP, NOISE = 8, 4, 3000, 0.5, 0.01
MODEL = sl.committee(WIDTH, TEACHER, "erf", noise=NOISE)
SGD = sl.OnlineSGD(step=STEP)
XOR, XOR_SGD = sl.xor_gmm(snr=10.0), sl.OnlineSGD(step=1.0)


def loop(steps: int, dim: int = DIM, width: int = WIDTH) -> Callable[[], object]:
    """What people write: SGD on an erf committee, one sample a step, in NumPy."""
    rng = np.random.default_rng(0)
    teacher = np.eye(TEACHER, dim)
    start = rng.standard_normal((width, dim)) / dim**0.5

    def run() -> np.ndarray:
        W = start.copy()
        for _ in range(steps):
            x = rng.standard_normal(dim)
            s, f = W @ x, teacher @ x
            y = erf(f / 2**0.5).sum() / TEACHER + NOISE**0.5 * rng.standard_normal()
            slope = (2 / np.pi) ** 0.5 * np.exp(-s * s / 2) / width
            W -= STEP / dim * np.outer((erf(s / 2**0.5).sum() / width - y) * slope, x)
        return W

    return run


def simulated(steps: int, runs: int, engine: object, width: int = WIDTH) -> Callable[[], object]:
    model = sl.committee(width, TEACHER, "erf", noise=NOISE)
    time = steps * STEP / DIM
    return lambda: sl.simulate(
        model, SGD, dim=DIM, time=time, runs=runs, record=2, engine=engine, progress=False
    ).M  # fmt: skip


def against_the_loop(
    what: str, target: str, engine: object, runs: int, steps: int, width: int = WIDTH
) -> Row:
    """Run-steps per second over steps per second of the loop."""
    few = 2000
    values = ratios(loop(few, width=width), simulated(steps, runs, engine, width), 5)
    scale = steps * runs / few
    rate = steps * runs / seconds(simulated(steps, runs, engine, width))
    name = f"{what} over a NumPy loop, erf {width}/{TEACHER}, d = {DIM} ({rate:.3g} run-steps/s)"
    return name, target, summary(values, scale)


def one_real_run(dtype: str, target: str) -> Row:
    return against_the_loop(
        f"one run of real SGD, {dtype}", target, sl.engines.SGD(dtype=dtype), 1, 6000
    )


def real_runs(runs: int) -> Row:
    engine = sl.engines.SGD(dtype="float64")
    return against_the_loop(f"{runs} runs of real SGD, float64", "≥ 3", engine, runs, 1200)


def chain_runs(runs: int, target: str, steps: int) -> Row:
    what = "one run of the chain" if runs == 1 else f"{runs} runs of the chain"
    return against_the_loop(what, target, "chain", runs, steps)


def wide_chain() -> Row:
    steps = 2000
    value = [seconds(simulated(steps, 1, "chain", 100)) for _ in range(4)][1:]
    return "chain of width 100, one run: ms a step", "≤ 0.1", summary(value, 1e3 / steps)


def ode_and_runs() -> Row:
    options = {"dim": 1000, "time": 50.0, "record": 21, "progress": False}

    def ode() -> object:
        return sl.simulate(XOR, XOR_SGD, engine="ode", **options).M

    def runs() -> object:
        return sl.simulate(XOR, XOR_SGD, engine="chain", runs=200, **options).M

    values = ratios(ode, runs, 5)
    name = f"default ODE over 200 exact runs, XOR, t = 50 ({seconds(ode):.2g} s)"
    return name, "≤ 1", summary(values)


def sde_of_xor() -> Row:
    def run() -> object:
        return sl.simulate(
            XOR, XOR_SGD, dim=1000, time=5.0, runs=16, record=6, engine="sde", progress=False
        ).M

    value = [seconds(run) for _ in range(4)][1:]
    return "SDE, XOR, 16 runs, t = 5: seconds", "< 1", summary(value)


def one_drift() -> Row:
    eff, u = sl.effective_dynamics(XOR, XOR_SGD), sl.initial(XOR, 1000, 1, seed=0)[0]
    value = [seconds(lambda: eff.drift(u).vector) for _ in range(30)][5:]
    return "`eff.drift`, XOR, with its error: ms a call", "< 5", summary(value, 1e3)


_FIRST = """
import sys, time
import sgdlimits as sl
if sys.argv[1] != "none":
    sl.enable_compilation_cache(sys.argv[1])
models = {
    "xor": (sl.xor_gmm(snr=10.0), sl.OnlineSGD(step=1.0)),
    "erf": (sl.committee(8, 4, "erf", noise=0.01), sl.OnlineSGD(step=0.5)),
}
model, sgd = models[sys.argv[2]]
start = time.perf_counter()
sl.simulate(model, sgd, dim=1000, time=0.5, runs=1, record=3, engine=sys.argv[3], progress=False)
print(time.perf_counter() - start)
"""


def first_call(model: str, engine: str) -> Row:
    """Seconds of a first call in a new process: without, and with a filled compilation cache."""
    with tempfile.TemporaryDirectory() as cache:
        cold = [_process("none", model, engine) for _ in range(2)]
        _process(cache, model, engine)
        warm = [_process(cache, model, engine) for _ in range(3)]
    name = f"first call, {engine} of {model}: seconds cold; with the compilation cache"
    return name, "cache: < 1", f"{min(cold):.2g}; {statistics.median(warm):.2g}"


def _process(cache: str, model: str, engine: str) -> float:
    command = [sys.executable, "-c", _FIRST, cache, model, engine]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=dict(os.environ))
    return float(done.stdout)


def sweep_of_points() -> Row:
    """Seconds a point of 200, beside those of one warm call."""

    def arguments(snr: float) -> dict:
        return {"model": sl.xor_gmm(snr=snr), "sgd": XOR_SGD, "dim": 500, "time": 1.0, "record": 3}

    start = time.perf_counter()
    sl.sweep(arguments, {"snr": np.linspace(1, 20, 200).tolist()}, progress=False)
    each = (time.perf_counter() - start) / 200
    one = seconds(lambda: sl.simulate(**arguments(3.0), progress=False).M)
    name = f"sweep of 200 points: time a point over a warm call ({each:.2g} s)"
    return name, "≤ 2", f"{each / one:.3g}"


def mean_field_again() -> Row:
    model = sl.committee(50, 1, "erf", noise=NOISE)
    sgd = sl.OnlineSGD(step=1.0)

    def run() -> object:
        return sl.simulate(
            model, sgd, dim=1000, time=100.0, record=5, engine="mean_field", progress=False
        ).M

    seconds(run)
    again = [seconds(run) for _ in range(3)]
    return "mean field, second call: seconds", "no compilation", summary(again)


if __name__ == "__main__":
    write_table(
        "users",
        [
            lambda: one_real_run("float64", "≥ 2"),
            lambda: one_real_run("float32", "≥ 3"),
            lambda: real_runs(16),
            lambda: real_runs(64),
            lambda: chain_runs(1, "≥ 25", 100_000),
            lambda: chain_runs(1000, "≥ 150", 2000),
            wide_chain,
            ode_and_runs,
            sde_of_xor,
            one_drift,
            *(
                lambda model=model, engine=engine: first_call(model, engine)
                for model in ("erf", "xor")
                for engine in ("chain", "ode", "sde")
            ),
            sweep_of_points,
            mean_field_again,
        ],
    )
