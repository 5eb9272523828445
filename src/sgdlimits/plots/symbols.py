"""How statistics and parameters are written in pictures."""

from sgdlimits.statistics.base import AbstractStatistics

#: Of the arguments of models and algorithms, as the documentation writes them.
PARAMETERS = {
    "snr": r"snr $\lambda$",
    "ridge": r"ridge $\alpha$",
    "step": "step",
    "noise": r"label noise $\Delta$",
    "second_layer_rate": "rate of the second layer",
}


def parameter_label(name: str) -> str:
    """Of an axis along a parameter."""
    return PARAMETERS.get(name, name.replace("_", " "))


def symbol_of(kind: type[AbstractStatistics], name: str) -> str:
    """Of one of the statistics by its name: M_{12} for ``M_12``, in LaTeX with dollars."""
    if name in kind.labels:
        return kind.labels[name].symbol
    field = max((f for f in kind.labels if name.startswith(f"{f}_")), key=len, default=None)
    if field is None:
        return name
    index, _, block = name.removeprefix(f"{field}_").partition("_block")
    bare = kind.labels[field].symbol.strip("$")
    if block:
        bare = bare.removesuffix("_j")
        return f"${bare}_{{{block};{index}}}$"
    return f"${bare}_{{{index}}}$" if "_" not in bare else f"$({bare})_{{{index}}}$"
