"""The tokenizer: LaTeX as a sequence of commands, numbers and single characters."""

import re

_LEXEME = re.compile(r"\\operatorname\*|\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\s+|.", re.DOTALL)


class LatexError(ValueError):
    """A formula has LaTeX that the report cannot convert."""


class Reader:
    """The lexemes of a formula and a position in them."""

    def __init__(self, latex: str) -> None:
        self.latex, self.lexemes, self.i = latex, _LEXEME.findall(latex), 0

    def peek(self) -> str:
        """Return the next lexeme that is not white space, without consuming it; an empty text at the end."""
        while self.i < len(self.lexemes) and self.lexemes[self.i].isspace():
            self.i += 1
        return self.lexemes[self.i] if self.i < len(self.lexemes) else ""

    def next(self) -> str:
        """Consume and return the next lexeme; LatexError at the end."""
        lexeme = self.peek()
        if not lexeme:
            raise LatexError(f"{self.latex!r} ends too early")
        self.i += 1
        return lexeme

    def expect(self, lexeme: str) -> None:
        """Consume the next lexeme, which must be this one."""
        found = self.next()
        if found != lexeme:
            raise LatexError(f"{self.latex!r} has {found!r}; expected {lexeme!r}")

    def digit(self) -> str:
        r"""Consume the first digit of a number, which is an argument without braces: \tfrac12 is 1/2."""
        number = self.next()
        self.i -= 1
        self.lexemes[self.i : self.i + 1] = list(number)
        self.i += 1
        return number[0]

    def raw(self) -> str:
        r"""Consume { ... }, or a single lexeme in its place, and return it unchanged, without the braces.

        >>> Reader(r"{\rm data} x").raw(), Reader("Ex").raw()
        ('\\rm data', 'E')
        """
        first = self.next()
        if first != "{":
            return first
        start, depth = self.i, 1
        while depth:
            if self.i >= len(self.lexemes):
                raise LatexError(f"{self.latex!r}: a brace is not closed")
            depth += {"{": 1, "}": -1}.get(self.lexemes[self.i], 0)
            self.i += 1
        return "".join(self.lexemes[start : self.i - 1])
