"""Benchmarks of Hessian and gradient spectra; each row is a ratio measured in one run."""

import importlib.util
import subprocess
import sys

import numpy as np

import sgdlimits as sl
from run import write_table
from sgdlimits import spectra
from timing import ratios, seconds, summary

ROUNDS = 5
MODEL = sl.k_gmm(10, snr=10.0, ridge=0.01)
M = 2.3 * np.eye(10) - 0.3
STATE = sl.Statistics(np.zeros(0), M, M @ M.T + 0.05 * np.eye(10))
DIM, ALPHA = 1000, 16.0


def predict():
    """Bulk, outliers and overlaps of one block, from statistics."""
    found = spectra.asymptotic(MODEL, STATE, alpha=ALPHA, dim=DIM)
    return found.bulk.curve.x, [o.overlap(found.direction(neurons=0)) for o in found.outliers]


def decompose():
    """One full eigendecomposition of a symmetric matrix of the paper's size."""
    return np.linalg.eigh(MATRIX)


MATRIX = np.random.default_rng(0).standard_normal((DIM, DIM))
MATRIX = MATRIX @ MATRIX.T / DIM


def prediction():
    measured = ratios(predict, decompose, ROUNDS)
    return (
        "asymptotic prediction of one block (k = 10) / numpy.linalg.eigh at d = 1000",
        "1 or less",
        f"{summary(measured)}; {seconds(predict):.2g} s",
    )


def trajectory():
    states = [STATE] * 50
    path = sl.Statistics(*(np.stack([np.asarray(getattr(u, x)) for u in states]) for x in "vMQ"))
    times = np.arange(50.0)
    work = lambda: spectra.along_path(MODEL, path, times, alpha=ALPHA, dim=DIM)  # noqa: E731
    seconds(work)
    return (
        "50 states along a trajectory, bulk edges, outliers, overlaps",
        "10 s",
        f"{seconds(work):.3g} s",
    )


def top_pairs(count, form):
    parameters = sl.lift(MODEL, STATE, DIM, 0)
    data = spectra.fresh_samples(MODEL, DIM, round(ALPHA * DIM), 0)

    def few():
        matrix = spectra.empirical(MODEL, parameters, data, (0, 0))
        return spectra.top(matrix, count, form=form).values

    def dense():
        return np.linalg.eigh(spectra.empirical(MODEL, parameters, data, (0, 0)).dense())

    how = "the default, which forms it" if form is None else "iterating through the samples"
    found = len(few())
    return (
        f"top {count} eigenpairs of a block ({found} converged), d = 1000, M = 16000, {how} / "
        "forming the block and numpy.linalg.eigh",
        "below 1",
        summary(ratios(few, dense, 5)),
    )


def top_ten():
    return top_pairs(10, None)


def top_one_iterating():
    """The one eigenvalue that is separated here; what is inside a bulk converges slowly."""
    return top_pairs(1, False)


def top_ten_curvlinops():
    """A public tool's Hessian-vector products in SciPy's Lanczos solver, which is fed nothing else.

    Ours is the default of ``top``, which forms a matrix of this size and decomposes it.
    """
    title = "curvlinops and SciPy's eigsh over ours, top 10 of the whole Hessian, k = 3, d = 300"
    if importlib.util.find_spec("curvlinops") is None:
        return title, "reported", "not measured: curvlinops is not installed"
    import torch  # type: ignore[import-not-found]
    from curvlinops import HessianLinearOperator  # type: ignore[import-not-found]
    from scipy.sparse.linalg import eigsh

    dim, count = 300, 4800
    model = sl.k_gmm(3, snr=10.0, ridge=0.01)
    overlaps = 2.3 * np.eye(3) - 0.3
    state = sl.Statistics(np.zeros(0), overlaps, overlaps @ overlaps.T + 0.05 * np.eye(3))
    parameters = sl.lift(model, state, dim, 0)
    data = spectra.fresh_samples(model, dim, count, 0)
    X = np.concatenate([x for _, x, _ in data.chunks()])
    classes = np.concatenate([labels for _, _, labels in data.chunks()]).argmax(1)
    layer = torch.nn.Linear(dim, 3, bias=False, dtype=torch.float64)
    layer.weight.data = torch.from_numpy(np.array(parameters.W))
    batch = [(torch.from_numpy(X), torch.from_numpy(classes))]

    def ours():
        return spectra.top(spectra.empirical(model, parameters, data, "W"), 10).values

    def theirs():
        weights = list(layer.parameters())
        loss = torch.nn.CrossEntropyLoss()
        operator = HessianLinearOperator(layer, loss, weights, batch, check_deterministic=False)
        return eigsh(operator.to_scipy(), 10, which="LM", tol=1e-8)[0]

    gap = float(np.abs(np.sort(theirs())[::-1] - np.asarray(ours())).max())
    return f"{title} (values agree to {gap:.0e})", "reported", summary(ratios(theirs, ours, 3))


LARGE = """
import resource, time, numpy as np, sgdlimits as sl
from sgdlimits import spectra
model, dim = sl.k_gmm(10, snr=10.0), 20000
M = 2.3 * np.eye(10) - 0.3
u = sl.Statistics(np.zeros(0), M, M @ M.T + 0.05 * np.eye(10))
data = spectra.fresh_samples(model, dim, 40000, 0, dtype="float32", memory=3e8)
matrix = spectra.empirical(model, sl.lift(model, u, dim, 0), data, (0, 0))
start = time.perf_counter()
found = spectra.top(matrix, 10, most_sweeps=24)
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
seconds = time.perf_counter() - start
print(f"{used:.2f} GiB, {seconds:.0f} s, {len(found.values)} of 10 pairs converged")
"""


def large():
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    title = "d = 20000, M = 40000, top 10, 24 sweeps, samples drawn again in every one: memory"
    return title, "2 GiB", done.stdout.strip()


if __name__ == "__main__":
    rows = [prediction, trajectory, top_ten, top_one_iterating, top_ten_curvlinops, large]
    write_table("spectra", rows[: int(sys.argv[1])] if len(sys.argv) > 1 else rows)
