"""How objects show themselves: one line in a terminal, a small table in a notebook."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

import equinox as eqx
import jax
from jax.core import Tracer

_STYLE = "text-align: left; font-variant-numeric: tabular-nums"
_MOST = 8  # numbers of a list that are shown


def number(value: Any) -> str:
    """To six digits."""
    return f"{float(value):.6g}"


def numbers(values: Iterable[Any]) -> str:
    """Some numbers, complex ones as such, with dots where there are more."""
    listed = list(values)
    shown = [_either(value) for value in listed[:_MOST]]
    return ", ".join([*shown, "..."] if len(listed) > _MOST else shown)


def _either(value: Any) -> str:
    value = complex(value)
    if value.imag == 0:
        return f"{value.real:.4g}"
    return f"{value.real:.4g} {'+' if value.imag > 0 else '-'} {abs(value.imag):.4g}i"


def in_one_line(write: Callable[[Any], str]) -> Callable[[Any], str]:
    """Decorator of ``__repr__``: where JAX only traces there are no numbers, and it says fields."""

    def shown(self: Any) -> str:
        """One line."""
        if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(self)):
            return eqx.tree_pformat(self)
        return write(self)

    return shown


def facts_table(title: str, facts: Mapping[str, str]) -> str:
    """HTML: one row a fact."""
    return rows_table(title, (), facts.items())


def rows_table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """HTML with a caption, the head in bold, all text escaped."""
    top = "".join(f'<th style="{_STYLE}">{escape(cell)}</th>' for cell in head)
    body = "".join(
        "<tr>" + "".join(f'<td style="{_STYLE}">{escape(cell)}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    caption = f'<caption style="{_STYLE}"><b>{escape(title)}</b></caption>'
    thead = f"<thead><tr>{top}</tr></thead>" if head else ""
    return f"<table>{caption}{thead}<tbody>{body}</tbody></table>"
