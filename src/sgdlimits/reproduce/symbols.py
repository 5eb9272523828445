"""Mathematics in plain text, as the tables of checks have it, as symbols for a web page."""

import re

_GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "eps": "ε", "eta": "η", "kappa": "κ",
    "lambda": "λ", "mu": "μ", "nu": "ν", "omega": "ω", "phi": "φ", "rho": "ρ", "sigma": "σ",
    "tau": "τ", "Lambda": "Λ", "Delta": "Δ", "inf": "∞", "infinity": "∞",
}  # fmt: skip
_INDEX = {"star": "⋆", "dagger": "†", "perp": "⊥"}

_CODE = re.compile(r"(`[^`]*`|\$[^$]*\$)")
_SQRT = re.compile(r"\bsqrt\(((?:[^()]|\([^()]*\))*)\)")
#: A command of LaTeX: its name is that of plain text.
_COMMAND = re.compile(r"\\(times|" + "|".join(_GREEK) + r")(?![A-Za-z])")
_OUTSIDE = re.compile(r"\b([A-Z])(?:⊥|_perp)_([a-z0-9]{1,2})\b")
_NAME = re.compile(r"(?<![A-Za-z_])(" + "|".join(_GREEK) + r")(?![A-Za-z])")
#: A symbol with an index: one letter, or a Greek one. In W_iW_j the first index is i.
_SUB = re.compile(
    r"(?<!\w)([A-Za-zα-ωΛΔ])_"
    r"(\{[^}]*\}|star|dagger|perp|ext|opt|[a-z](?=[A-Z]_)|[A-Za-z0-9α-ω]{1,2}(?![A-Za-z_]))"
)
_PRODUCT = re.compile(r"(?<=</sub>)([A-Z])_([a-z0-9])(?!\w)")
_SUP = re.compile(
    r"(?<=[\w)>|])\^(\{[^}]*\}|\([^()]*\)|-?\d+(?:\.\d+)?(?:/\d+)?|[A-Za-zα-ω](?![A-Za-z]))"
)
_ORDER = re.compile(r"λ<sub>c</sub>\((\d+)\)")


def symbols(text: str) -> str:
    """The text with Greek letters, roots, indices and powers as symbols; code and LaTeX stay."""
    pieces = _CODE.split(text)
    pieces[::2] = [_symbols(piece) for piece in pieces[::2]]
    return "".join(pieces)


def _symbols(text: str) -> str:
    text = _COMMAND.sub(lambda match: match[1], text).replace("times(", "×(")
    text = _SQRT.sub(_root, text)
    text = _OUTSIDE.sub(r"\1<sub>⊥,\2</sub>", text)
    text = re.sub(r"(?<![A-Za-z])(\w+)_(?=[A-Za-z0-9{])", _greek_stem, text)
    text = _NAME.sub(lambda match: _GREEK[match[1]], text)
    text = _SUB.sub(lambda match: f"{match[1]}<sub>{_index(match[2])}</sub>", text)
    text = _PRODUCT.sub(r"\1<sub>\2</sub>", text)
    text = _SUP.sub(lambda match: f"<sup>{match[1].strip('{}()')}</sup>", text)
    text = _ORDER.sub(r"λ<sub>c</sub> of order \1", text)
    return text.replace("->", "→").replace("<=", "≤")


def _root(match: re.Match[str]) -> str:
    inner = match[1]
    return f"√{inner}" if re.fullmatch(r"\w+", inner) else f"√({inner})"


def _greek_stem(match: re.Match[str]) -> str:
    return f"{_GREEK.get(match[1], match[1])}_"


def _index(text: str) -> str:
    return _INDEX.get(text, text.strip("{}").replace("_", ""))
