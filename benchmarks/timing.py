"""Ratios of times measured side by side, so that a machine's moods cancel."""

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call, its result computed."""
    start = time.perf_counter()
    jax.block_until_ready(work())
    return time.perf_counter() - start


def ratios(one: Callable[[], object], other: Callable[[], object], rounds: int = 7) -> list[float]:
    """time(one) / time(other), pair by pair, after a warm-up that compiles both; sorted."""
    seconds(one), seconds(other)
    return sorted(seconds(one) / seconds(other) for _ in range(rounds))


def summary(values: list[float], scale: float = 1.0) -> str:
    """Median, and the range in brackets."""
    scaled = sorted(scale * v for v in values)
    return f"{statistics.median(scaled):.3g} [{scaled[0]:.3g}, {scaled[-1]:.3g}]"


def normals(count: int, dtype: str = "float64") -> Callable[[], object]:
    """Work that draws ``count`` standard normals, in pieces of 2^21, and nothing else."""
    pieces, size = max(1, round(count / 2**21)), 2**21
    size = round(count / pieces)
    draw = jax.jit(lambda key: jnp.sum(jax.random.normal(key, (size,), dtype)))
    keys = jax.random.split(jax.random.key(0), pieces)
    return lambda: [draw(key) for key in keys]


Row = tuple[str, str, str]


def on_one_core(measure: Callable[..., Row], *arguments: object) -> Row:
    """The same row, measured by a process that has one core.

    Drawing numbers fills every core; a lane of runs little more than one, because its steps follow
    each other. On one core both do the same thing, so this ratio tells what a step costs.
    Linux only.
    """
    core = max(os.sched_getaffinity(0))
    context = multiprocessing.get_context("spawn")  # before the numerical library counts its cores
    with context.Pool(1, os.sched_setaffinity, (0, {core})) as pool:
        name, target, measured = pool.apply(measure, arguments)
    return f"{name}, one core", target, measured
