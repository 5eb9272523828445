"""What the tables of the documentation say, asked of the package itself.

``docs/hooks/tables.py`` puts them into pages; tests compare the README's with these.
"""

import inspect
from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp

import sgdlimits as sl
from sgdlimits.engines.table import ENGINES


def engines() -> str:
    """One row per engine, from its class."""
    rows = [
        (f"`{name}`", _first_sentence(kind), kind.exact_for, kind.cost)
        for name, kind in ENGINES.items()
    ]
    return table(("engine", "what it is", "exact for", "cost of a run"), rows)


def _first_sentence(kind: type) -> str:
    text = (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")
    return text.replace("dim -> infinity", "dim → ∞").replace("-> infinity", "→ ∞").rstrip(".")


def _regression(key, dim):
    x = jax.random.normal(key, (dim,))
    return x, x[0]


def _families() -> list[tuple[str, str, object]]:
    """(what it is called, its page, an example)."""
    own = sl.MultiIndexModel(
        data=sl.Teacher(label=lambda f, z: jnp.sign(f[0] + z)),
        network=sl.Network(lambda v, s: s[0], width=1, layer=0),
        loss=sl.losses.logistic,
    )
    anything = sl.CustomModel(
        loss=lambda w, y: (y[1] - w @ y[0]) ** 2 / 2,
        sample=_regression,
        statistics=lambda w: {"m": w[0], "q": w @ w},
        initial=lambda key, dim: jax.random.normal(key, (dim,)) / dim**0.5,
    )
    spectrum = sl.Spectrum([1.0, 0.1])
    return [
        ("`SpikedTensor`: matrices, tensors of any order", "models/spiked-tensor.md",
         sl.SpikedTensor(2, 1.2)),
        ("`binary_gmm`, `xor_gmm`, `k_gmm`: networks on Gaussian mixtures",
         "models/gaussian-mixtures.md", sl.binary_gmm(snr=2.0)),
        ("`MultiIndexModel`: your network, loss and labels", "write-your-own-model.md", own),
        ("`committee`, `phase_retrieval`, `single_index`: teacher and student",
         "models/committees.md", sl.committee(2, 1)),
        ("any of these networks on inputs with a `covariance`", "your-data.md",
         sl.committee(2, 1, covariance=spectrum)),
        ("`CustomModel`: any loss, data and statistics", "custom-models.md", anything),
    ]  # fmt: skip


def models(link: bool = True) -> str:
    """Which engine takes which family, and what else knows it."""
    rows = []
    for what, page, model in _families():
        cells = [_yes(_takes, name, model) for name in ENGINES]
        cells += [_yes(_capable, what, model) for what in ("spectra", "audit")]
        name, _, rest = what.partition(":")
        rows.append([f"[{name}]({page}){':' * bool(rest)}{rest}" if link else what, *cells])
    heads = [f"`{name}`" for name in ENGINES]
    return table(("model", *heads, "`spectra`", "`audit`"), rows)


def _yes(can: Callable[[str, object], None], what: str, model: object) -> str:
    try:
        can(what, model)
    except ValueError:
        return "–"
    return "yes"


def _takes(engine: str, model) -> None:
    ENGINES[engine]().check(sl.Process(model, sl.OnlineSGD(step=0.1)), 500)


def _capable(what: str, model) -> None:
    model.check_capability(what)
    if what == "spectra" and not model.has_curvature:
        raise ValueError(what)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    head = tuple(head)
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
