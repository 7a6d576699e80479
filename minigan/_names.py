"""Invalid settings: the error class, and the message for an unknown name."""

from collections.abc import Iterable
from difflib import get_close_matches


class ConfigError(ValueError):
    """An invalid setting; the message says what is expected.  The command line treats any other ValueError as a bug."""


def unknown(what: str, given: object, known: Iterable[str]) -> str:
    """Return the message for a name that is not among the known ones; it suggests the most similar one.

    >>> unknown("recipe", "gausian", ["gaussian", "mnist-dense"])
    "unknown recipe 'gausian' (did you mean 'gaussian'?); expected gaussian, mnist-dense"
    """
    names = list(known)
    close = get_close_matches(str(given), names, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"unknown {what} {given!r}{hint}; expected {', '.join(names) or 'none'}"
