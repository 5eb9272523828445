"""What the API reference needs beyond the sources: constructors, and docstrings as plain text.

Docstrings are written to be read in a terminal: ``<x, v>`` is an inner product and ``u*`` a fixed
point, not HTML and emphasis. And the constructors of Equinox modules are generated, so their
signatures are taken from the imported classes.
"""

import importlib
import inspect
import re

import griffe

_CODE = re.compile(r"(``.*?``|`[^`]*`)", re.DOTALL)


_ITEM = re.compile(r"^( +[\w, ]+:)(?= )", re.MULTILINE)  # an entry of Args, Raises, Attributes


def as_markdown(text: str) -> str:
    """The docstring with the characters escaped that Markdown would take for markup."""
    return "".join(
        piece if index % 2 else _escape(piece) for index, piece in enumerate(_ITEM.split(text))
    )


def _escape(text: str) -> str:
    pieces = _CODE.split(text)
    pieces[::2] = [
        re.sub(r"([*_<|])", r"\\\1", piece).replace("\\<", "&lt;") for piece in pieces[::2]
    ]
    return "".join(pieces)


class Reference(griffe.Extension):
    """Adjust docstrings and classes of sgdlimits."""

    def on_instance(self, *, obj: griffe.Object, **kwargs) -> None:
        """Escape a docstring."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)

    def on_class_members(self, *, cls: griffe.Class, **kwargs) -> None:
        """Give a class whose constructor is generated that constructor."""
        if "__init__" in cls.members or not cls.path.startswith("sgdlimits."):
            return
        live = getattr(importlib.import_module(cls.module.path), cls.name, None)
        if live is None or not hasattr(live, "__dataclass_fields__") or inspect.isabstract(live):
            return
        names = [p for p in inspect.signature(live).parameters.values()]
        parameters = [griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)]
        for parameter in names:
            attribute = cls.all_members.get(parameter.name)
            parameters.append(
                griffe.Parameter(
                    parameter.name,
                    annotation=getattr(attribute, "annotation", None),
                    kind=griffe.ParameterKind.positional_or_keyword,
                    default=None
                    if parameter.default is parameter.empty
                    else repr(parameter.default),
                )
            )
        cls.set_member(
            "__init__",
            griffe.Function("__init__", parameters=griffe.Parameters(*parameters), parent=cls),
        )
        # The fields are documented as arguments; listing them again as members says nothing more.
        for parameter in names:
            member = cls.members.get(parameter.name)
            if member is not None and member.docstring is None:
                del cls.members[parameter.name]
