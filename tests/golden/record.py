"""Compute what golden files hold, through the public interface alone, and write it.

``python -m tests.golden.record [CASE ...]`` rewrites the files of these cases, by default of all.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import sgdlimits as sl
from tests.golden.cases import CASES, Case

DATA = Path(__file__).parent / "data"
Numbers = dict[str, np.ndarray]

_SEED = 7
_CHAIN_DIM, _SGD_DIM, _MATRIX_DIM = 60, 30, 12


# -- paths -----------------------------------------------------------------------------------------


def _path(case: Case, engine: str, dim: int, steps: int, runs: int, **options: Any) -> Numbers:
    """Every variable of a simulation of so many steps."""
    time = options.pop("time", steps * case.sgd.step / dim)
    dataset = sl.simulate(
        case.model, case.sgd, engine, dim=dim, time=time, runs=runs, seed=_SEED,
        progress=False, **options,
    )  # fmt: skip
    # Errors of rules are differences of nearly equal numbers: no two machines agree on them.
    return {
        str(name): np.asarray(values)
        for name, values in dataset.data_vars.items()
        if not values.attrs.get("long_name", "").startswith("estimated error")
    }


def _chain(case: Case) -> Numbers:
    """From the random start."""
    return _path(case, "chain", _CHAIN_DIM, case.chain_steps, 3, record=3)


def _sgd(case: Case) -> Numbers:
    """From the random start."""
    return _path(case, "sgd", _SGD_DIM, case.sgd_steps, 2, record=3)


def _literal(case: Case) -> Numbers:
    """From real parameters with the case's states."""
    options = {"literal": True, "initial": case.states}
    return _path(case, "sgd", _SGD_DIM, case.sgd_steps, 2, record=2, **options)


def _ode(case: Case) -> Numbers:
    options = {"time": case.ode_time, "initial": case.states}
    return _path(case, "ode", 10_000, 0, 2, record=3, **options)


def _sde(case: Case) -> Numbers:
    """One time step for each step of SGD."""
    options = {"dt": float(case.sgd.delta(_CHAIN_DIM)), "initial": case.states}
    return _path(case, "sde", _CHAIN_DIM, case.sde_steps, 2, record=2, **options)


def _mean_field(case: Case) -> Numbers:
    options = {"time": case.ode_time, "record": 3}
    full = _path(case, "mean_field", _CHAIN_DIM, 0, 2, **options)
    reduction = sl.MeanField(noise=False, self_term=False)
    bare = _path(
        case, "mean_field", _CHAIN_DIM, 0, 2, initial=case.states, mean_field=reduction, **options
    )
    return {**full, **{f"leading_{name}": value for name, value in bare.items()}}


# -- fields ----------------------------------------------------------------------------------------


def _fields(case: Case) -> Numbers:
    """Functions of the state, in one compiled program."""

    def every(u: Any) -> dict[str, Any]:
        return {name: _field(case, name, u) for name in case.fields}

    return jax.jit(every)(case.states)


def _field(case: Case, name: str, u: Any) -> Any:
    dynamics = sl.effective_dynamics(case.model, case.sgd)
    if name == "risk":
        return sl.risk(case.model, u)
    if name == "moments":
        moments = dynamics.one_step_moments(u, _SGD_DIM)
        return jnp.concatenate([moments.mean[..., None], moments.covariance], axis=-1)
    value = getattr(dynamics, name)(u)
    return value if name == "diffusion" else value.vector


# -- spectra ---------------------------------------------------------------------------------------


def _population(case: Case) -> Numbers:
    """Eigenvalues of whole matrices, and the numbers behind one block off the diagonal."""
    numbers = {}
    for kind in ("hessian", "gradient"):
        whole = sl.spectra.population(case.model, case.states[0], "all", kind)
        block = sl.spectra.population(case.model, case.states[0], (0, 1), kind)
        numbers[f"{kind}_eigenvalues"] = whole.eigenvalues(_MATRIX_DIM)
        numbers[f"{kind}_inner"], numbers[f"{kind}_bulk"] = block.inner, block.bulk
    return numbers


def _asymptotic(case: Case) -> Numbers:
    """Edges, outliers, what of their vectors is signal, and their fluctuations."""
    found = sl.spectra.asymptotic(
        case.model, case.states[0], (0, 0), kind="gradient", alpha=3.0, dim=200, nodes=2**10
    )
    return {
        "edges": np.array([found.bulk.left.x, found.bulk.right.x]),
        "values": np.array([o.value for o in found.outliers]),
        "masses": np.array([o.mass for o in found.outliers]),
        "deviations": np.array([o.deviation for o in found.outliers]),
        "overlaps": found.overlaps(found.direction(frame=0)),
    }


def _empirical(case: Case) -> Numbers:
    """All eigenvalues of one matrix of fresh samples, at parameters that have the state."""
    parameters = sl.lift(case.model, case.states[0], _SGD_DIM, _SEED)
    samples = sl.spectra.fresh_samples(case.model, _SGD_DIM, 50, _SEED)
    matrix = sl.spectra.empirical(case.model, parameters, samples, (0, 0), "gradient")
    return {"eigenvalues": matrix.eigenvalues()}


# -- files -----------------------------------------------------------------------------------------

RECORDERS: dict[str, Callable[[Case], Numbers]] = {
    "chain": _chain,
    "sgd": _sgd,
    "literal": _literal,
    "ode": _ode,
    "sde": _sde,
    "mean_field": _mean_field,
    "fields": _fields,
    "population": _population,
    "asymptotic": _asymptotic,
    "empirical": _empirical,
}


def compute(case: Case) -> Numbers:
    """All that the case records, as part.quantity."""
    return {
        f"{part}.{name}": np.asarray(value, dtype=float)
        for part in case.parts
        for name, value in RECORDERS[part](case).items()
    }


def load(name: str) -> Numbers:
    """What the golden file of a case holds."""
    with np.load(DATA / f"{name}.npz") as stored:
        return dict(stored)


def write(name: str) -> Path:
    """Record one case anew."""
    path = DATA / f"{name}.npz"
    np.savez_compressed(path, **compute(CASES[name]()))
    return path


def main(names: list[str]) -> None:
    unknown = sorted(set(names) - set(CASES))
    if unknown:
        raise SystemExit(f"unknown: {', '.join(unknown)}; cases: {', '.join(CASES)}")
    DATA.mkdir(exist_ok=True)
    for name in names or CASES:
        path = write(name)
        print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
