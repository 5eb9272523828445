"""Write a table of benchmark results: ``python benchmarks/spiked_tensor.py``."""

import os
import platform
from collections.abc import Callable, Iterable
from pathlib import Path

import jax

from timing import Row


def write_table(name: str, benchmarks: Iterable[Callable[[], Row]]) -> None:
    """Run the benchmarks and write results/name.md, row by row as they finish."""
    lines = [
        f"Made by `python benchmarks/{name}.py` on {os.cpu_count()} CPU cores "
        f"({platform.machine()}, {jax.default_backend()} backend, JAX {jax.__version__}). "
        "Median and range over repetitions.",
        "",
        "| ratio | target | measured |",
        "|---|---|---|",
    ]
    path = Path(__file__).parent / "results" / f"{name}.md"
    path.parent.mkdir(exist_ok=True)
    for benchmark in benchmarks:
        row = "| " + " | ".join(benchmark()) + " |"
        print(row, flush=True)
        lines.append(row)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
