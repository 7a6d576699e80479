"""Figures to PNG and GIF, without pyplot and its global state."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from minigan._matplotlib import Figure, FigureCanvasAgg
from minigan.training.files import PathLike, RunError, atomic_write

DPI = 160
"""Of PNG files: figures of 6 to 14 inches are 1000 to 2200 pixels wide."""
FRAME_DPI = 110
"""Of the frames of an animation, which holds fifty of them."""


def save(figure: Figure, path: PathLike) -> Path:
    """Write a figure as PNG at 160 dpi, atomically; return the path."""
    FigureCanvasAgg(figure)
    return atomic_write(path, lambda stream: figure.savefig(stream, format="png", dpi=DPI))


def save_picture(picture: Image.Image, path: PathLike) -> Path:
    """Write a picture as PNG, atomically; return the path."""
    return atomic_write(path, lambda stream: picture.save(stream, format="PNG"))


def read_picture(path: PathLike) -> Image.Image:
    """Return a picture that `save_picture` wrote; RunError where it is damaged."""
    try:
        with Image.open(path) as picture:
            return picture.copy()
    except (OSError, SyntaxError) as error:  # Pillow's errors for a damaged PNG
        raise RunError(f"{path}: not a whole picture ({error})") from None


def rasterise(figure: Figure) -> Image.Image:
    """Return the figure as an RGB picture, a frame of an animation."""
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(FRAME_DPI)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def save_gif(
    frames: Iterable[Image.Image], path: PathLike, *, milliseconds: int = 100, hold: int = 2000, colours: int = 64
) -> Path:
    """Write an animated GIF that repeats, atomically.

    Parameters
    ----------
    frames : iterable of PIL.Image.Image
        At least one picture, all of one size.
    path : path
        The file; an existing one is replaced.
    milliseconds, hold : int
        The duration of each frame, and of the last one, which is longer so that the result can be seen.
    colours : int
        The size of each frame's palette: 64 suffice for diagrams and grey images, photographs need 256.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        Where there are no frames.

    """
    pictures = [frame.quantize(colours) for frame in frames]
    if not pictures:
        raise ValueError("frames is empty; expected one picture or more")
    durations = [milliseconds] * (len(pictures) - 1) + [hold]
    return atomic_write(
        path,
        lambda stream: pictures[0].save(
            stream, format="GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0
        ),
    )
