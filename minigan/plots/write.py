"""Write figures and pictures as PNG and GIF files, without pyplot and its global state."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from minigan._matplotlib import Figure, FigureCanvasAgg
from minigan.training.files import PathLike, RunError, atomic_write

DPI = 160
"""The resolution of PNG files in dots per inch: figures of 6 to 14 inches are 1000 to 2200 pixels wide."""
FRAME_DPI = 110
"""The resolution of the frames of an animation, which has about fifty of them, in dots per inch."""


def save(figure: Figure, path: PathLike) -> Path:
    """Write a figure atomically as a PNG file with 160 dots per inch.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    path : path
        The file; an existing one is replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OSError
        If the file cannot be written.

    """
    FigureCanvasAgg(figure)
    return atomic_write(path, lambda stream: figure.savefig(stream, format="png", dpi=DPI))


def save_picture(picture: Image.Image, path: PathLike) -> Path:
    """Write a picture atomically as a PNG file.

    Parameters
    ----------
    picture : PIL.Image.Image
        The picture.
    path : path
        The file; an existing one is replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OSError
        If the file cannot be written.

    """
    return atomic_write(path, lambda stream: picture.save(stream, format="PNG"))


def read_picture(path: PathLike) -> Image.Image:
    """Read a picture that `save_picture` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    PIL.Image.Image
        The picture.

    Raises
    ------
    RunError
        If the file is missing or damaged.

    """
    try:
        with Image.open(path) as picture:
            return picture.copy()
    except (OSError, SyntaxError) as error:  # Pillow's errors for a damaged PNG
        raise RunError(f"{path}: not a whole picture ({error})") from None


def rasterise(figure: Figure) -> Image.Image:
    """Render a figure as an RGB picture, for a frame of an animation."""
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(FRAME_DPI)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def save_gif(
    frames: Iterable[Image.Image], path: PathLike, *, milliseconds: int = 100, hold: int = 2000, colours: int = 64
) -> Path:
    """Write an animated GIF, which repeats, atomically.

    Parameters
    ----------
    frames : iterable of PIL.Image.Image
        The pictures, at least one, all of the same size.
    path : path
        The file; an existing one is replaced.
    milliseconds, hold : int
        The durations of a frame and of the last frame in milliseconds; 100 and 2000 by default, so that the result is
        visible for some time.
    colours : int
        The number of colours of each frame, at most 256; 64, the default, suffice for diagrams and grey images,
        photographs need 256.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If there are no frames.

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
