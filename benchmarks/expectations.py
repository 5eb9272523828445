"""Errors of the drift of mixtures by rule, width and snr: what ``tolerance`` relies on."""

import dataclasses
from pathlib import Path

import equinox as eqx
import numpy as np

import sgdlimits as sl
from sgdlimits._tracing import dynamic
from sgdlimits.expectations.rules import AbstractRule, QuasiMonteCarlo, TruncatedGauss

SNRS = (1.0, 10.0, 100.0)
REFERENCE = {1: 15, 2: (24, 15), 3: (24, 16, 10), 4: (16, 12, 6, 5)}  # nodes a side


def states(width: int, directions: int, layer: int, count: int, rest: float) -> sl.Statistics:
    """Random states of order one; neurons outside the frame's span of size ``rest``."""
    rng = np.random.default_rng(width)
    M = rng.standard_normal((count, width, directions))
    factor = rng.standard_normal((count, width, width)) / width**0.5
    outside = rest**2 * factor @ np.swapaxes(factor, -1, -2)
    v = rng.standard_normal((count, layer))
    return sl.Statistics(v, M, M @ np.swapaxes(M, -1, -2) + outside)


@eqx.filter_jit
def drift_and_error(dynamics, u):
    return dynamics.drift(u).vector, dynamics.drift_error(u).vector


@eqx.filter_jit
def drift(dynamics, u):
    return dynamics.drift(u).vector


def worst(family, rule: AbstractRule, reference: AbstractRule, rest: float) -> tuple[float, float]:
    """Largest (error, error over its estimate) over states and snr."""
    error, ratio = 0.0, 0.0
    for snr in SNRS:
        model = family(snr)
        u = states(model.network.width, model.data.directions, model.network.layer, 4, rest)
        dynamics, exact = (
            dynamic(sl.effective_dynamics(dataclasses.replace(model, rule=r)))
            for r in (rule, reference)
        )
        value, estimate = drift_and_error(dynamics, u)
        found = np.abs(np.asarray(value - drift(exact, u))).max(1)
        estimate = np.abs(np.asarray(estimate)).max(1)
        error = max(error, float(found.max()))
        ratio = max(ratio, float((found / np.maximum(estimate, 1e-12)).max()))
    return error, ratio


def main() -> None:
    """Write results/expectations.md."""
    lines = [
        "Largest absolute error of the drift over random states with overlaps of order one and snr "
        f"in {SNRS}, against a finer rule; in brackets its largest ratio to `drift_error`'s "
        "estimate. Regular states have neurons of order one outside the span of the class means; "
        "nearly singular ones a tenth of that. Made by `python benchmarks/expectations.py`.",
        "",
        "| model | rule | nodes a class | regular states | nearly singular |",
        "|---|---|---|---|---|",
    ]
    cases = {
        1: (4, 8, 12),
        2: (4, 6, 8, 12, (16, 8)),
        3: (4, 6, 8, (6, 4, 3), (8, 6, 4), (12, 8, 4), (12, 8, 8), (16, 10, 6)),
        4: (
            *(3, 4, 5, (4, 3, 2, 2), (6, 4, 3, 3), (6, 5, 4, 3)),
            *((8, 6, 4, 3), (8, 6, 5, 4), (10, 8, 5, 4)),
        ),
    }
    for width, orders in cases.items():
        families = {"XOR": lambda snr, k=width: sl.xor_gmm(snr, 0.1, k)}
        if 2 <= width <= 3:
            families["softmax"] = lambda snr, k=width: sl.k_gmm(k, snr=snr)
        rules = []
        for order in orders:
            rule = TruncatedGauss(width, order)
            count = int(np.prod(2 * np.array(rule.orders)))
            rules.append((f"{order} nodes a side", rule, count))
        if width == 4:
            rules += [
                (f"8 scrambles of 2^{n} Sobol points", QuasiMonteCarlo(4, n), 8 * 2**n)
                for n in (9, 12)
            ]
        for name, family in families.items():
            for title, rule, nodes in rules:
                reference = TruncatedGauss(width, REFERENCE[width])
                cells = [worst(family, rule, reference, rest) for rest in (1.0, 0.1)]
                text = " | ".join(f"{error:.1e} ({ratio:.2g})" for error, ratio in cells)
                lines.append(f"| {name}, width {width} | {title} | {nodes} | {text} |")
                print(lines[-1], flush=True)
    path = Path(__file__).parent / "results" / "expectations.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
