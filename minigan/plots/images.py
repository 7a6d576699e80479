"""Grids of images, with a title and labels above them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

FONT_PIXELS, LINE_PIXELS = 14, 18  # the heights of the letters and of a line
NEAREST = "nearest\ntraining\nimage"


def image_grid(
    images: NDArray[Any], *, rows: int, columns: int, gap: int = 2, enlarge: int = 2, title: str = ""
) -> Image.Image:
    """Arrange images in a grid, row by row.

    Parameters
    ----------
    images : array (N, H, W, C), C = 1 or 3
        Bytes, or floating numbers in [0, 1], which are clipped and rounded to bytes; N >= rows columns.
    rows, columns : int
        The size of the grid.
    gap : int
        The number of white pixels between images, before enlarging; 2 by default.
    enlarge : int
        The factor by which the grid is enlarged on both axes; 2 by default.
    title : str
        A line above the grid; by default there is none.

    Returns
    -------
    PIL.Image.Image
        The grid, in mode "L" for C = 1 and "RGB" for C = 3.

    Raises
    ------
    ValueError
        If the shape is different, there are too few images, or one of the grid has NaN or an infinity.
    TypeError
        If the numbers are integers other than bytes, for which the value of white is not defined.

    """
    if images.ndim != 4 or images.shape[3] not in (1, 3):
        raise ValueError(f"images has shape {images.shape}; expected (N, H, W, 1) or (N, H, W, 3)")
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise TypeError(f"images are {images.dtype}; expected uint8, or floating numbers in [0, 1]")
    if len(images) < rows * columns:
        raise ValueError(f"images has {len(images)} pictures; expected at least {rows} x {columns}")
    _, H, W, C = images.shape
    sheet = np.full((rows * (H + gap) - gap, columns * (W + gap) - gap, C), 255, dtype=np.uint8)
    shown = images[: rows * columns]
    if images.dtype != np.uint8 and not np.isfinite(shown).all():
        bad = int(np.argmin(np.isfinite(shown).all(axis=(1, 2, 3))))
        raise ValueError(f"images[{bad}] has numbers that are not finite; expected finite numbers in [0, 1]")
    levels = shown if images.dtype == np.uint8 else np.round(np.clip(shown, 0, 1) * 255).astype(np.uint8)
    for n, image in enumerate(levels):
        top, left = n // columns * (H + gap), n % columns * (W + gap)
        sheet[top : top + H, left : left + W] = image
    picture = Image.fromarray(sheet[:, :, 0] if C == 1 else sheet)
    picture = picture.resize((picture.width * enlarge, picture.height * enlarge), Image.Resampling.NEAREST)
    return headed(picture, [(0, title)]) if title else picture


def neighbour_grid(
    samples: NDArray[Any],
    nearest: NDArray[Any],
    *,
    rows: int,
    columns: int,
    margin: int = 16,
    title: str = "",
    label: str = "",
) -> Image.Image:
    """Arrange samples in a grid, and the training images nearest to the last sample of each row in a column beside it.

    The layout is that of Figure 2 of Goodfellow et al. 2014.

    Parameters
    ----------
    samples : array (N, H, W, C)
        As for `image_grid`; N >= rows columns.
    nearest : array (rows, H, W, C)
        The neighbours, bytes or floating numbers in [0, 1].
    rows, columns : int
        The size of the grid of samples.
    margin : int
        The number of white pixels between the grid and the column of neighbours; 16 by default.
    title, label : str
        The texts above the grid and above the column (`NEAREST` in the recipes); by default there are none.

    Returns
    -------
    PIL.Image.Image
        The picture, in the mode of `image_grid`.

    """
    left = image_grid(samples, rows=rows, columns=columns)
    right = image_grid(nearest, rows=rows, columns=1)
    sheet = Image.new(left.mode, (left.width + margin + right.width, left.height), "white")
    sheet.paste(left, (0, 0))
    sheet.paste(right, (left.width + margin, 0))
    return headed(sheet, [(0, title), (left.width + margin, label)]) if title or label else sheet


def headed(picture: Image.Image, heads: Sequence[tuple[int, str]]) -> Image.Image:
    """Return the picture with a white strip above it that has texts.

    Parameters
    ----------
    picture : PIL.Image.Image
        The picture.
    heads : sequence of (int, str)
        The horizontal position of each text, in pixels, and the text; its last line is just above the picture.

    Returns
    -------
    PIL.Image.Image
        The picture, wider than before if a text needs it.  The strip has the height of the highest text.

    """
    font = ImageFont.load_default(FONT_PIXELS)
    measure = ImageDraw.Draw(picture)
    height = LINE_PIXELS * max(len(text.split("\n")) for _, text in heads) + 4
    ends = [x + measure.textlength(line, font=font) for x, text in heads for line in text.split("\n")]
    sheet = Image.new(picture.mode, (max(picture.width, *(int(end) + 2 for end in ends)), picture.height + height))
    sheet.paste("white", (0, 0, *sheet.size))
    sheet.paste(picture, (0, height))
    draw = ImageDraw.Draw(sheet)
    for x, text in heads:
        lines = text.split("\n")
        for k, line in enumerate(lines):
            draw.text((x, height - 4 - LINE_PIXELS * (len(lines) - k)), line, fill="black", font=font)
    return sheet
