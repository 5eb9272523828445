"""Every closed formula of the package with its status and its source, for programs to read.

A formula says its status where it is written, by the decorator ``formula``; ``table()`` lists all.

Example:
    >>> import sgdlimits as sl
    >>> from sgdlimits import formulas
    >>> formulas.of(sl.Mediocrity.noisy_exit).status
    'heuristic'
"""

import importlib
import inspect
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeVar, get_args

Status = Literal["exact", "asymptotic", "heuristic"]

#: What the words mean.
MEANING: dict[Status, str] = {
    "exact": "holds at every finite dimension, to rounding",
    "asymptotic": "holds in a limit, that of large dimension unless it names another",
    "heuristic": "an argument that is not a theorem; it says which step is not proved",
}

#: Modules with formulas.
HOMES = (
    "closed_forms.committee_plateau",
    "closed_forms.committee_regimes",
    "closed_forms.exit_time_1d",
    "closed_forms.leap",
    "closed_forms.least_squares",
    "closed_forms.phase_retrieval_escape",
    "closed_forms.phase_retrieval_exit_law",
    "closed_forms.phase_retrieval_landscape",
    "closed_forms.phase_retrieval_one_neuron",
    "closed_forms.relu_mixture_fixed_points",
    "closed_forms.single_index_escape",
    "closed_forms.softmax_mixture_fixed_points",
    "closed_forms.spiked_tensor_phases",
    "closed_forms.spiked_tensor_stability",
    "closed_forms.two_time_scales",
    "analysis.escape",
)

_KEPT = "__formula__"
F = TypeVar("F", bound=Callable[..., Any])


class Formula(NamedTuple):
    """One formula."""

    module: str  # below sgdlimits
    name: str
    status: Status
    source: str  # paper and equation, or how it was found
    summary: str  # first sentence of its documentation


def formula(status: Status, source: str) -> Callable[[F], F]:
    """Decorator of a function or method: its status word, and where it comes from.

    Raises:
        ValueError: for another word, no source, or a docstring without the line ``Status: word``.
    """
    if status not in get_args(Status):
        raise ValueError(f"status={status!r}: expected one of {', '.join(get_args(Status))}.")
    if not source:
        raise ValueError("source='': expected a paper and an equation, or how it was found.")

    def mark(function: F) -> F:
        text = inspect.getdoc(function)
        if text is not None and f"Status: {status}" not in text:  # none under python -OO
            raise ValueError(
                f"{function.__qualname__}: its docstring must say 'Status: {status}', as its "
                "decorator does."
            )
        setattr(function, _KEPT, (status, source))
        return function

    return mark


def of(function: Any) -> Formula:
    """What a formula says of itself; a function, a method, or a property of a class.

    Raises:
        ValueError: for anything else.
    """
    function = function.fget if isinstance(function, property) else function
    if not hasattr(function, _KEPT):
        raise ValueError(f"function={function!r}: expected one that table() lists.")
    status, source = getattr(function, _KEPT)
    module = function.__module__.partition(".")[2]
    summary = (inspect.getdoc(function) or "").partition("\n\n")[0].replace("\n", " ")
    return Formula(module, function.__qualname__, status, source, summary)


def table() -> list[Formula]:
    """All formulas, module by module in the order of their names there."""
    found = []
    for home in HOMES:
        module = importlib.import_module(f"{__package__}.{home}")
        own = [x for x in vars(module).values() if getattr(x, "__module__", "") == module.__name__]
        inside = [x for kind in own if inspect.isclass(kind) for x in vars(kind).values()]
        for thing in (*own, *inside):
            function = thing.fget if isinstance(thing, property) else thing
            if hasattr(function, _KEPT):
                found.append(of(function))
    return found


def markdown() -> str:
    """The table as a page of the documentation prints it."""
    lines = []
    for home in HOMES:
        rows = [one for one in table() if one.module == home]
        lines += ["", f"### `{home}`", "", "| formula | status | source | |", "|---|---|---|---|"]
        for one in rows:
            cells = [f"`{one.name}`", one.status, one.source, f"`{one.summary}`"]
            lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines[1:])
