"""Grids of images."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def image_grid(images: NDArray[np.floating], *, rows: int, columns: int, gap: int = 2, enlarge: int = 2) -> Image.Image:
    """Return rows x columns images side by side.    images (N, H, W, C) in [0, 1], C = 1 or 3, N >= rows columns"""
    if images.ndim != 4 or images.shape[3] not in (1, 3):
        raise ValueError(f"images has shape {images.shape}; accepted: (N, H, W, 1) or (N, H, W, 3)")
    if len(images) < rows * columns:
        raise ValueError(f"images has {len(images)} pictures; {rows} x {columns} were asked for")
    _, H, W, C = images.shape
    sheet = np.full((rows * (H + gap) - gap, columns * (W + gap) - gap, C), 255, dtype=np.uint8)
    levels = np.round(np.clip(images[: rows * columns], 0, 1) * 255).astype(np.uint8)
    for n, image in enumerate(levels):
        top, left = n // columns * (H + gap), n % columns * (W + gap)
        sheet[top : top + H, left : left + W] = image
    picture = Image.fromarray(sheet[:, :, 0] if C == 1 else sheet)
    return picture.resize((picture.width * enlarge, picture.height * enlarge), Image.Resampling.NEAREST)


def neighbour_grid(
    samples: NDArray[np.floating], nearest: NDArray[np.floating], *, rows: int, columns: int, margin: int = 16
) -> Image.Image:
    """Return a grid of samples and, apart at its right, the training image nearest to the last sample of each row.

    As Figure 2 of Goodfellow et al. 2014.    samples (N, H, W, C), N >= rows columns    nearest (rows, H, W, C)
    """
    left = image_grid(samples, rows=rows, columns=columns)
    right = image_grid(nearest, rows=rows, columns=1)
    sheet = Image.new(left.mode, (left.width + margin + right.width, left.height), "white")
    sheet.paste(left, (0, 0))
    sheet.paste(right, (left.width + margin, 0))
    return sheet
