"""Grids of images, with a title and labels above them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

FONT, LINE = 14, 18  # heights of the letters and of a line, in pixels
NEAREST = "nearest\ntraining\nimage"


def image_grid(
    images: NDArray[Any], *, rows: int, columns: int, gap: int = 2, enlarge: int = 2, title: str = ""
) -> Image.Image:
    """Return rows x columns images side by side, row by row.

    Parameters
    ----------
    images : array (N, H, W, C), C = 1 or 3
        Bytes, drawn as they are, or floating numbers in [0, 1]; N >= rows columns.
    rows, columns : int
        The grid.
    gap : int
        White pixels between neighbours, before enlarging.
    enlarge : int
        Pixels to a side that are drawn for each.
    title : str
        A line above the grid; none by default.

    Returns
    -------
    PIL.Image.Image
        In mode "L" for C = 1, "RGB" for C = 3.

    Raises
    ------
    ValueError
        Where the shape is another, there are too few images, or one that is drawn has NaN or an infinity.
    TypeError
        Where the numbers are whole but not bytes: what white is among them cannot be known.

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
    """Return a grid of samples and, apart at its right, the training image nearest to the last sample of each row.

    As Figure 2 of Goodfellow et al. 2014.

    Parameters
    ----------
    samples : array (N, H, W, C)
        As for `image_grid`; N >= rows columns.
    nearest : array (rows, H, W, C)
        The neighbours, bytes or floating numbers of their own.
    rows, columns : int
        The grid of samples.
    margin : int
        White pixels between the grid and the column at its right.
    title, label : str
        Above the grid and above the column (`NEAREST`, in the recipes); none by default.

    Returns
    -------
    PIL.Image.Image
        As for `image_grid`.

    """
    left = image_grid(samples, rows=rows, columns=columns)
    right = image_grid(nearest, rows=rows, columns=1)
    sheet = Image.new(left.mode, (left.width + margin + right.width, left.height), "white")
    sheet.paste(left, (0, 0))
    sheet.paste(right, (left.width + margin, 0))
    return headed(sheet, [(0, title), (left.width + margin, label)]) if title or label else sheet


def headed(picture: Image.Image, heads: Sequence[tuple[int, str]]) -> Image.Image:
    """Return the picture below a white strip with texts, each from a given x on and ending just above the picture.

    The strip is as high as the text with most lines, and the sheet wider than the picture where a text is.
    """
    font = ImageFont.load_default(FONT)
    measure = ImageDraw.Draw(picture)
    height = LINE * max(len(text.split("\n")) for _, text in heads) + 4
    ends = [x + measure.textlength(line, font=font) for x, text in heads for line in text.split("\n")]
    sheet = Image.new(picture.mode, (max(picture.width, *(int(end) + 2 for end in ends)), picture.height + height))
    sheet.paste("white", (0, 0, *sheet.size))
    sheet.paste(picture, (0, height))
    draw = ImageDraw.Draw(sheet)
    for x, text in heads:
        lines = text.split("\n")
        for k, line in enumerate(lines):
            draw.text((x, height - 4 - LINE * (len(lines) - k)), line, fill="black", font=font)
    return sheet
