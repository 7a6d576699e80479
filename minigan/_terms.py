"""The library's messages in the terms of the command line: it names arguments as Python has them."""

import re

OPTIONS = {
    "checkpoint_every=N": "--checkpoint-every N",
    "checkpoint=": "--checkpoint ",
    "iterations=N": "--iterations N",
    "out=": "--out ",
}


def as_options(text: str) -> str:
    """Return a message with the options of the command line in place of arguments.

    Parameters
    ----------
    text : str
        A message of the library.

    Returns
    -------
    str
        The same with each key of `OPTIONS` replaced by its value.

    Examples
    --------
    >>> as_options("it has no checkpoints; train with checkpoint_every=N")
    'it has no checkpoints; train with --checkpoint-every N'

    """
    for argument, option in OPTIONS.items():
        text = re.sub(rf"(?<!\w){re.escape(argument)}", option, text)  # not the end of another name
    return text
