"""Benchmarks of update rules and batches; each row is a ratio measured in one run."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

import sgdlimits as sl
from sgdlimits.process.process import Process
from sgdlimits.statistics.overlaps import Statistics
from timing import Row, ratios, summary

RUNS, STEPS, DIM = 256, 512, 1000
MODEL = sl.committee(2, 1, "erf", noise=0.1)
STATE = Statistics(jnp.zeros(0), [[0.3], [-0.2]], [[1.0, 0.2], [0.2, 0.8]])
STEP = 0.5


def chain(batch: int, steps: int, rule: object = None) -> Callable[[], object]:
    """That many steps of the exact chain in all runs."""
    process = Process(MODEL, sl.OnlineSGD(STEP, batch=batch, rule=rule))
    constants, dim = process.chain_constants(DIM), jnp.asarray(float(DIM))
    start = process.chain_state(process.begin(STATE))
    start = jax.tree.map(lambda x: jnp.repeat(x[..., None], RUNS, axis=-1), start)
    block = min(steps, 64)
    step = jax.vmap(lambda s, n: process.chain_step(s, n, dim, 0.0), in_axes=-1, out_axes=-1)
    draw = jax.vmap(lambda key: process.chain_noise(key, block, constants), out_axes=-1)

    @jax.jit
    def run(key):
        def body(state, key):
            noise = draw(jax.random.split(key, RUNS))
            return jax.lax.scan(lambda s, n: (step(s, n), None), state, noise)[0], None

        return jax.lax.scan(body, start, jax.random.split(key, steps // block))[0]

    return lambda: run(jax.random.key(0))


def by_hand(steps: int) -> Callable[[], object]:
    """The same chain of plain SGD, written out for this one model."""
    p, block, root = 2, 64, jnp.sqrt(2 / jnp.pi)
    noise, constants = MODEL.noise**0.5, Process(MODEL, sl.OnlineSGD()).chain_constants(DIM)

    def step(state, drawn):
        (b0, b1, q00, q01, q11), (f, x0, x1, z, chi2) = state, drawn
        l00 = jnp.sqrt(q00)
        l10 = q01 / l00
        l11 = jnp.sqrt(q11 - l10**2)
        s0, s1 = b0 * f + l00 * x0, b1 * f + l10 * x0 + l11 * x1
        erf = jax.scipy.special.erf
        error = (erf(s0 / 2**0.5) + erf(s1 / 2**0.5)) / p - erf(f / 2**0.5) - noise * z
        k0, k1 = (-STEP / DIM / p * error * root * jnp.exp(-s * s / 2) for s in (s0, s1))
        a00, a01 = l00 + k0 * x0, k0 * x1
        a10, a11 = l10 + k1 * x0, l11 + k1 * x1
        return (
            b0 + k0 * f, b1 + k1 * f, a00**2 + a01**2 + k0 * k0 * chi2,
            a00 * a10 + a01 * a11 + k0 * k1 * chi2, a10**2 + a11**2 + k1 * k1 * chi2,
        ), None  # fmt: skip

    def draw(key):
        z = jax.random.normal(key, (4 + constants.normals, block))
        chi2 = constants.from_normals(z[4:])
        return z[0], z[1], z[2], z[3], jnp.broadcast_to(chi2, (block,))

    one = [0.3, -0.2, 1.0 - 0.09, 0.2 + 0.06, 0.8 - 0.04]
    start = tuple(jnp.full(RUNS, x) for x in one)

    @jax.jit
    def run(key):
        def body(state, key):
            drawn = jax.vmap(draw, out_axes=-1)(jax.random.split(key, RUNS))
            return jax.lax.scan(step, state, drawn)[0], None

        return jax.lax.scan(body, start, jax.random.split(key, steps // block))[0]

    return lambda: run(jax.random.key(0))


def plain_chain() -> Row:
    values = ratios(chain(1, STEPS), by_hand(STEPS))
    return "chain of plain SGD: with rules about over written out by hand", "≤ 1.2", summary(values)


def plain_drift(calls: int = 200) -> Row:
    process = Process(MODEL, sl.OnlineSGD(STEP))

    def many(field):
        @jax.jit
        def run(y):
            return jax.lax.scan(lambda y, _: (y + 1e-9 * field(y), None), y, length=calls)[0]

        return lambda: run(STATE.vector)

    def direct(y):
        e = MODEL.expectations(STATE.with_vector(y))
        return Statistics(-e.h, -e.gf, STEP * e.gg - e.gs - e.gs.T).vector

    ours = many(lambda y: process.drift(STATE.with_vector(y)).vector)
    values = ratios(ours, many(direct))
    return "ODE of plain SGD: right-hand side over its expectations alone", "≤ 1.1", summary(values)


def batch(size: int = 64) -> Row:
    values = ratios(chain(size, 8), chain(1, 8 * size))
    return f"a step on {size} samples over {size} steps of the chain", "≤ 0.33", summary(values)


def with_memory() -> Row:
    values = ratios(chain(1, STEPS, sl.rules.momentum(beta=0.9)), chain(1, STEPS))
    return "chain with momentum, twice the rows, over plain SGD", "≤ 8", summary(values)


BENCHMARKS = (plain_chain, plain_drift, batch, with_memory)

if __name__ == "__main__":
    from run import write_table

    write_table("rules", BENCHMARKS)
