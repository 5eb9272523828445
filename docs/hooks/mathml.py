"""Formulas as MathML, made when the site is built: no script and no network when it is read.

pymdownx.arithmatex (generic) marks formulas with the class ``arithmatex``; the marks become MathML
here. A formula that cannot be converted stops the build.
"""

import html
import re

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

_INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
_BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)

# LaTeX that the converter does not know, as LaTeX that it does.
_BEFORE = (
    (re.compile(r"\\(begin|end)\{aligned\}"), r"\\\1{align*}"),
    (re.compile(r"\\lvert\b"), r"\\left|"),
    (re.compile(r"\\rvert\b"), r"\\right|"),
    (re.compile(r"\\lVert\b"), r"\\left\\|"),
    (re.compile(r"\\rVert\b"), r"\\right\\|"),
    (re.compile(r"\\math(bb|bf|cal)\s+(\w)"), r"\\math\1{\2}"),
    (re.compile(r"\\[bB]igg?[lr]?(?=[\\()\[\]|])"), ""),
    (re.compile(r"\\arg\b"), r"\\mathrm{arg}\\,"),
)

# What browsers draw badly or do not draw: spacing, and letters chosen by an attribute.
_AFTER = (
    ("<mo>&#x0002F;</mo>", '<mo lspace="0" rspace="0">&#x0002F;</mo>'),
    ("<mi>&#x0007E;</mi>", '<mo lspace="0.278em" rspace="0.278em">&#x0223C;</mo>'),
    ("<mi>&#x02032;</mi>", '<mo lspace="0" rspace="0">&#x02032;</mo>'),
    ("<mi>log</mi>", '<mo lspace="0.167em" rspace="0.167em">log</mo>'),
    ('<mi mathvariant="script">D</mi>', "<mi>&#x1D49F;</mi>"),
    ('<mi mathvariant="script">A</mi>', "<mi>&#x1D49C;</mi>"),
    ('<mn mathvariant="bold">1</mn>', "<mn>&#x1D7CF;</mn>"),
)
_NOT_DRAWN = re.compile(r'mathvariant="(?!normal|monospace)[^"]*"|<mi>&(amp;)?</mi>|\\')


def to_mathml(latex: str, display: str) -> str:
    """One formula, LaTeX (as it stands in HTML) to MathML."""
    latex = html.unescape(latex).strip()
    known = latex
    for pattern, replacement in _BEFORE:
        known = pattern.sub(replacement, known)
    try:
        mathml = convert(known, display=display)
    except Exception as error:
        raise PluginError(f"formula {latex!r} cannot be turned into MathML: {error!r}") from error
    for old, new in _AFTER:
        mathml = mathml.replace(old, new)
    left = _NOT_DRAWN.search(mathml)
    if left:
        raise PluginError(
            f"formula {latex!r}: browsers do not draw {left[0]!r}; write it otherwise."
        )
    return mathml.replace("<math ", f'<math alttext="{html.escape(latex)}" ', 1)


def on_page_content(content: str, page, **kwargs) -> str:
    """Convert every marked formula of a page."""
    try:
        content = _BLOCK.sub(lambda match: to_mathml(match[1], "block"), content)
        content = _INLINE.sub(lambda match: to_mathml(match[1], "inline"), content)
    except PluginError as error:
        raise PluginError(f"{page.file.src_uri}: {error}") from error
    if "arithmatex" in content:
        raise PluginError(f"{page.file.src_uri}: a formula was left unconverted.")
    return content
