"""Messages of the library for the command line: Python arguments replaced by options."""

import re

OPTIONS = {
    "checkpoint_every=N": "--checkpoint-every N",
    "checkpoint=": "--checkpoint ",
    "iterations=N": "--iterations N",
    "out=": "--out ",
    "recipe=": "--recipe ",
}


def as_options(text: str) -> str:
    """Replace the arguments in a message by options of the command line.

    Parameters
    ----------
    text : str
        A message of the library.

    Returns
    -------
    str
        The message with each key of `OPTIONS` replaced by its value.

    Examples
    --------
    >>> as_options("it has no checkpoints; train with checkpoint_every=N")
    'it has no checkpoints; train with --checkpoint-every N'

    """
    for argument, option in OPTIONS.items():
        text = re.sub(rf"(?<!\w){re.escape(argument)}", option, text)  # not the end of another name
    return text
