r"""Convert a subset of LaTeX to MathML, which browsers and screen readers support without a script.

The formula is split before each relation and after each comma outside brackets, into one <math> for each part, so that
a long statement can break over lines.  An unknown command raises `LatexError`, and the page shows the source.

`docs/decisions/latex-writer.md` compares it with latex2mathml.
"""

from collections.abc import Callable

from verify.report.markup import Markup, tag
from verify.report.symbols import (
    ACCENTS,
    ALPHABETS,
    BARS,
    BINARY,
    CLOSE,
    FUNCTIONS,
    IDENTIFIERS,
    IGNORED,
    INTEGRALS,
    LARGE,
    LIMITS,
    OPEN,
    PLAIN,
    PREFIX,
    PUNCTUATION,
    RELATIONS,
    SPACES,
    TEXT,
    UPRIGHT,
    alphabet,
)  # fmt: skip
from verify.report.tokenizer import LatexError, Reader

_ENVIRONMENTS = {
    "cases": ("{", ""), "matrix": ("", ""), "pmatrix": ("(", ")"), "bmatrix": ("[", "]"), "vmatrix": ("|", "|"),
    "aligned": ("", ""), "smallmatrix": ("", ""),
}  # fmt: skip


def mathml(latex: str) -> Markup:
    r"""Return the formula as <math> elements.

    >>> print(mathml(r"\tfrac12 x"))
    <math displaystyle="true"><mfrac displaystyle="false"><mn>1</mn><mn>2</mn></mfrac><mi>x</mi></math>
    """
    parser = _Parser(latex)
    row = parser.row(lambda lexeme: False)
    pieces: list[list[Markup]] = [[]]
    depth, after = 0, ""
    for kind, node in row:
        if depth == 0 and (kind == "relation" or after in ("comma", "space")) and kind != "space" and pieces[-1]:
            pieces.append([])
        pieces[-1].append(node)
        depth += (kind == "open") - (kind == "close")
        after = kind
    return Markup(tag("wbr").join(tag("math", piece, displaystyle="true") for piece in pieces if piece))


Node = tuple[str, Markup]  # (kind, element): atom, operator, binary, relation, open, close, comma, thin, space


class _Parser(Reader):
    """A recursive descent parser of one formula."""

    def row(self, stop: Callable[[str], bool]) -> list[Node]:
        """Parse up to a lexeme for which `stop` is true, or to the end."""
        nodes: list[Node] = []
        while (lexeme := self.peek()) and not stop(lexeme):
            before = nodes[-1][0] if nodes else "open"
            node = self.scripted(before)
            if before in ("atom", "close") and lexeme[1:] in (*FUNCTIONS, *LIMITS):
                nodes.append(("thin", _space(0.17)))
            if node is not None:
                nodes.append(node)
        return nodes

    def scripted(self, before: str) -> Node | None:
        """Parse an atom with its subscripts, superscripts and primes."""
        head = self.peek()
        node = ("atom", tag("mrow")) if head in ("^", "_") else self.atom(before)
        below, above, primes = None, None, 0
        while (lexeme := self.peek()) in ("^", "_", "'"):
            self.next()
            if lexeme == "'":
                primes += 1
            elif lexeme == "_" and below is None:
                below = self.argument()
            elif lexeme == "^" and above is None:
                above = self.argument()
            else:
                raise LatexError(f"{self.latex!r} has two scripts in the same place; expected one")
        if primes:
            mark = tag("mo", "′" * primes, lspace="0", rspace="0")
            above = mark if above is None else tag("mrow", mark, above)
        if node is None or (below is None and above is None):
            return node
        name, (kind, base) = head.lstrip("\\"), node
        both, under, over = _BELOW if name in (*LARGE, *LIMITS) else _RIGHT
        if below is not None and above is not None:
            scripted = tag(both, base, below, above)
        else:
            scripted = tag(under, base, below) if above is None else tag(over, base, above)
        return kind, self.spaced(scripted) if name in (*FUNCTIONS, *LIMITS, *UPRIGHT) else scripted

    def group(self) -> Markup:
        """Parse the rest of { ... }."""
        nodes = self.row(lambda lexeme: lexeme == "}")
        self.expect("}")
        return nodes[0][1] if len(nodes) == 1 else tag("mrow", [node for _, node in nodes])

    def argument(self) -> Markup:
        r"""Parse { ... } or the single atom that stands for it (of a number, its first digit: \tfrac12)."""
        lexeme = self.next()
        if lexeme == "{":
            return self.group()
        if lexeme[0].isdigit() and len(lexeme) > 1:
            self.i -= 1
            return tag("mn", self.digit())
        self.i -= 1
        node = self.atom("open")
        if node is None:
            raise LatexError(f"{self.latex!r} has {lexeme!r}; expected an argument")
        return node[1]

    def fence(self) -> str:
        r"""Consume the delimiter after \left or \right."""
        lexeme = self.next()
        name = lexeme if lexeme == "\\|" else lexeme.lstrip("\\")
        for table in (OPEN, CLOSE, BARS):
            if name in table:
                return table[name]
        if name == ".":
            return ""
        raise LatexError(f"{self.latex!r} has {lexeme!r}; expected a delimiter")

    def atom(self, before: str) -> Node | None:
        """Parse an atom without its scripts; `before` is the kind of the node on its left."""
        lexeme = self.next()
        if lexeme == "{":
            return "atom", self.group()
        if lexeme[0].isdigit():
            return "atom", tag("mn", lexeme)
        if lexeme.isalpha():
            return "atom", tag("mi", lexeme)
        if lexeme == "~":
            return "space", _space(0.28)
        if lexeme in BARS:
            return _bar(BARS[lexeme], before)
        name = lexeme[1:] if lexeme[0] == "\\" else lexeme
        if lexeme[0] == "\\" and name in SPACES:
            return "space" if SPACES[name] >= 1 else "thin", _space(SPACES[name])
        return self.command(name, before) if lexeme[0] == "\\" else self.operator(name, before)

    def operator(self, name: str, before: str) -> Node:
        """Return the node of a symbol."""
        if name in BINARY:
            prefix = before in ("open", "relation", "binary", "comma", "operator", "space")
            space = "0" if prefix else "0.22em"
            return "operator" if prefix else "binary", tag("mo", BINARY[name], lspace=space, rspace=space)
        if name in RELATIONS:
            return "relation", tag("mo", RELATIONS[name], lspace="0.28em", rspace="0.28em")
        for kind, table in (("open", OPEN), ("close", CLOSE)):
            if name in table:
                return kind, tag("mo", table[name], stretchy="false", lspace="0", rspace="0")
        if name in PUNCTUATION:
            return "comma", tag("mo", PUNCTUATION[name], lspace="0", rspace="0.17em")
        if name in PLAIN or name == ".":
            return "atom", tag("mo", PLAIN.get(name, name), lspace="0", rspace="0")
        if name in BARS:
            return _bar(BARS[name], before)
        if not name.isascii() and len(name) == 1:
            return "atom", tag("mi", name)
        raise LatexError(f"{self.latex!r} has {name!r}; expected a command of verify.report.symbols")

    def command(self, name: str, before: str) -> Node | None:
        """Parse a command with its arguments."""
        if name in IGNORED:
            return None
        if name in ("frac", "tfrac", "dfrac", "binom"):
            over, under = self.argument(), self.argument()
            if name == "binom":
                return "atom", tag("mrow", tag("mo", "("), tag("mfrac", over, under, linethickness="0"), tag("mo", ")"))
            small = {"tfrac": "false", "dfrac": "true"}.get(name)
            return "atom", tag("mfrac", over, under, displaystyle=small)
        if name == "sqrt":
            return "atom", self.root()
        if name in TEXT:
            return "atom", tag("mtext", self.raw().replace("~", " ").replace(" ", "\N{NO-BREAK SPACE}"))
        if name in UPRIGHT:
            text = self.raw().replace("\\,", " ").replace("\\", "").strip()
            if len(text) == 1:
                return "atom", tag("mi", text, mathvariant="normal")
            return "atom", self.spaced(tag("mi", text))
        if name in ALPHABETS:
            return "atom", tag("mi", alphabet(ALPHABETS[name], self.raw()))
        if name in ACCENTS:
            return "atom", tag("mover", self.argument(), tag("mo", ACCENTS[name], stretchy="true"), accent="true")
        if name in ("overset", "stackrel", "underset"):
            mark, base = self.argument(), self.argument()
            return "relation", tag("munder" if name == "underset" else "mover", base, mark)
        if name == "left":
            return "atom", self.fenced()
        if name == "begin":
            return "atom", self.environment()
        if name in IDENTIFIERS:
            return "atom", tag("mi", IDENTIFIERS[name])
        if name in FUNCTIONS or name in LIMITS:
            return "operator", self.spaced(tag("mi", name))
        if name in LARGE or name in INTEGRALS:
            return "operator", tag("mo", (LARGE | INTEGRALS)[name])
        if name in PREFIX:
            return "operator", tag("mo", PREFIX[name], lspace="0", rspace="0")
        return self.operator(name, before)

    def spaced(self, function: Markup) -> Markup:
        """Add a thin space after a function unless its argument is in brackets."""
        following = self.peek()
        if not following or not (following.isalnum() or following[0] == "\\") or following in _TIGHT:
            return function
        return tag("mrow", function, _space(0.17))

    def root(self) -> Markup:
        r"""Parse \sqrt x or \sqrt[n] x."""
        if self.peek() != "[":
            return tag("msqrt", self.argument())
        self.next()
        index = self.row(lambda lexeme: lexeme == "]")
        self.expect("]")
        return tag("mroot", self.argument(), tag("mrow", [node for _, node in index]))

    def fenced(self) -> Markup:
        r"""Parse \left( ... \right)."""
        left = self.fence()
        nodes = [node for _, node in self.row(lambda lexeme: lexeme == "\\right")]
        self.expect("\\right")
        return tag(
            "mrow", tag("mo", left) if left else None, nodes, tag("mo", right) if (right := self.fence()) else None
        )

    def environment(self) -> Markup:
        r"""Parse \begin{cases} ... \end{cases} and matrices."""
        name = self.raw()
        if name not in _ENVIRONMENTS:
            raise LatexError(f"{self.latex!r} has the environment {name!r}; expected {', '.join(_ENVIRONMENTS)}")
        rows: list[list[Markup]] = [[]]
        while True:
            cell = self.row(lambda lexeme: lexeme in ("&", "\\\\", "\\end"))
            rows[-1].append(tag("mtd", [node for _, node in cell]))
            lexeme = self.next() if self.peek() else ""
            if lexeme == "\\\\":
                rows.append([])
            elif lexeme != "&":
                break
        if lexeme != "\\end" or self.raw() != name:
            raise LatexError(f"{self.latex!r}: {name} is not closed")
        left, right = _ENVIRONMENTS[name]
        table = tag("mtable", [tag("mtr", row) for row in rows], class_=name)
        return tag("mrow", tag("mo", left) if left else None, table, tag("mo", right) if right else None)


_BELOW, _RIGHT = ("munderover", "munder", "mover"), ("msubsup", "msub", "msup")
_TIGHT = frozenset(
    ("\\left", "\\,", "\\!", "\\bigl", "\\Bigl", "\\big", "\\Big", "\\|", "\\}", "\\quad", "\\;", "\\right")
)


def _space(width: float) -> Markup:
    return tag("mspace", width=f"{width}em")


def _bar(symbol: str, before: str) -> Node:
    return "atom", tag("mo", symbol, stretchy="false", lspace="0", rspace="0")
