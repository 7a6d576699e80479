"""What a user gave and is not accepted: one error, and one way to say what was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches


class ConfigError(ValueError):
    """A setting that was given and is not accepted: its message says what is.  Any other ValueError is a bug."""


def unknown(what: str, given: object, accepted: Iterable[str]) -> str:
    """Return the message for a name that is not in `accepted`.

    >>> unknown("recipe", "gausian", ["gaussian", "mnist-dense"])
    "unknown recipe 'gausian' (did you mean 'gaussian'?); expected gaussian, mnist-dense"
    """
    names = list(accepted)
    close = get_close_matches(str(given), names, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"unknown {what} {given!r}{hint}; expected {', '.join(names) or 'none'}"
