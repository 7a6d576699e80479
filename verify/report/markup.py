"""Elements of HTML, MathML and SVG as text, with escaping.

A child that is not `Markup` is text and is escaped; so is every attribute.
"""

from collections.abc import Iterable
from html import escape
from typing import Any

VOID = frozenset({"br", "col", "hr", "input", "link", "meta", "wbr"})


class Markup(str):
    """Text that is markup, and is not escaped."""

    __slots__ = ()


def tag(name: str, /, *children: object, **attributes: Any) -> Markup:
    """Return an element with its children.

    A trailing underscore in the name of an attribute is dropped; other underscores become hyphens.  None and False omit
    an attribute, True writes it without a value.

    >>> print(tag("p", "a < b & c", class_="note", data_id='"1"', hidden=True, id=None))
    <p class="note" data-id="&quot;1&quot;" hidden>a &lt; b &amp; c</p>
    >>> print(tag("p", tag("b", "x"), [", ", 1]))
    <p><b>x</b>, 1</p>
    """
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(str(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[object]) -> Markup:
    """Return the concatenated children; lists are flattened, and None is omitted."""
    return Markup("".join(map(_markup, children)))


def _markup(child: object) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, list | tuple):
        return join(child)
    return escape(str(child), quote=False)
