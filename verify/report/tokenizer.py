"""LaTeX as a sequence of lexemes: commands, numbers, single characters."""

import re

_LEXEME = re.compile(r"\\operatorname\*|\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\s+|.", re.DOTALL)


class LatexError(ValueError):
    """LaTeX that the report cannot draw."""


class Reader:
    """A place in a formula."""

    def __init__(self, latex: str) -> None:
        self.latex, self.lexemes, self.i = latex, _LEXEME.findall(latex), 0

    def peek(self) -> str:
        """Return the next lexeme that is not white space, or nothing at the end."""
        while self.i < len(self.lexemes) and self.lexemes[self.i].isspace():
            self.i += 1
        return self.lexemes[self.i] if self.i < len(self.lexemes) else ""

    def next(self) -> str:
        """Take the next lexeme."""
        lexeme = self.peek()
        if not lexeme:
            raise LatexError(f"{self.latex!r} ends too early")
        self.i += 1
        return lexeme

    def expect(self, lexeme: str) -> None:
        """Take a certain lexeme."""
        found = self.next()
        if found != lexeme:
            raise LatexError(f"{self.latex!r}: {found!r} where {lexeme!r} is expected")

    def digit(self) -> str:
        r"""Take the first digit of a number, as an argument without braces does: \tfrac12 is 1/2."""
        number = self.next()
        self.i -= 1
        self.lexemes[self.i : self.i + 1] = list(number)
        self.i += 1
        return number[0]

    def raw(self) -> str:
        r"""Take { ... }, or the one lexeme that stands for it, as it is written.

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
