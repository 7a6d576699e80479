"""The options of a run other than its hyper-parameters."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan._names import ConfigError, unknown
from minigan.ops import BACKENDS, get_ops
from minigan.ops.protocol import Ops

DTYPES = ("float32", "float64")
OPTIONS = {"cpu": ("threads", "accuracy", "compiled"), "cuda": ("device", "precision", "graphs")}
"""The options of each backend (`minigan.ops.cpu.CPU`, `minigan.ops.cuda.CUDA`); "reference" has none."""


def as_bytes(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Return images as bytes.

    Parameters
    ----------
    images : array, shape (N, H, W, C)
        At least one image: uint8, or floats in [0, 1], which are rounded to the nearest multiple of 1 / 255.

    Returns
    -------
    array of uint8, shape (N, H, W, C)
        `images` itself if it is uint8.

    Raises
    ------
    ConfigError
        If `images` is anything else.

    """
    expected = "expected an array (N, H, W, C) of uint8, or of floats in [0, 1]"
    if not isinstance(images, np.ndarray) or isinstance(images, np.ma.MaskedArray):
        raise ConfigError(f"images: got {type(images).__name__}; {expected}")
    if images.ndim != 4 or images.size == 0:
        raise ConfigError(f"images: got shape {images.shape}; {expected}, with at least one image")
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind != "f":
        raise ConfigError(f"images: got dtype {images.dtype}; {expected}")
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 1):  # also where one is NaN
        raise ConfigError(f"images: got floats in [{low:g}, {high:g}]; {expected}")
    return np.rint(images.astype(np.float64) * 255).astype(np.uint8)


def as_labels(labels: Any, n: int) -> NDArray[Any]:
    """Return the labels of n images; raise ConfigError unless they are an array (n,) of whole numbers >= 0."""
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu" or labels.shape != (n,) or labels.min() < 0:
        given = f"{labels.dtype} of shape {labels.shape}" if isinstance(labels, np.ndarray) else type(labels).__name__
        raise ConfigError(f"labels: got {given}; expected whole numbers >= 0 of shape ({n},), the class of each image")
    return labels


@dataclass(frozen=True)
class RunOptions:
    """The options of a run other than its hyper-parameters.

    Parameters
    ----------
    seed : int
        The seed of every random stream, at least 0; 0 by default.
    dtype : {"float32", "float64"}
        The dtype of parameters and activations; float32 by default.
    ops : {"cpu", "cuda", "reference"}
        The backend.
    data_dir : path, optional
        The folder with the data files; by default $MINIGAN_DATA, then the cache folder.
    options : mapping, optional
        Options of the backend (`OPTIONS`).
    images : array, shape (N, H, W, C), optional
        Images that replace those of the data set: uint8, or floats in [0, 1], which are rounded to bytes (`as_bytes`).
    labels : array of int, shape (N,), optional
        The classes of `images`, whole numbers from 0; only conditional recipes need them.

    Raises
    ------
    ConfigError
        If a value is invalid or the backend does not have an option.
    BackendUnavailable
        If options are given and the backend cannot run here.

    """

    seed: int = 0
    dtype: str = "float32"
    ops: str = "cpu"
    data_dir: str | os.PathLike[str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    images: NDArray[Any] | None = field(default=None, compare=False)
    labels: NDArray[Any] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ConfigError(unknown("dtype", self.dtype, DTYPES))
        if self.ops not in BACKENDS:
            raise ConfigError(unknown("ops", self.ops, BACKENDS))
        if self.images is not None:
            object.__setattr__(self, "images", as_bytes(self.images))
        if self.labels is not None:
            if self.images is None:
                raise ConfigError("labels without images; expected both, or neither for those of the data set")
            object.__setattr__(self, "labels", as_labels(self.labels, len(self.images)))
        known = [name for names in OPTIONS.values() for name in names]
        for name in self.options:
            if name not in known:
                raise ConfigError(unknown("option", name, known))
        if self.options:
            refused = [name for name in self.options if name not in OPTIONS.get(self.ops, ())]
            if refused:
                owner = next(ops for ops, names in OPTIONS.items() if refused[0] in names)
                raise ConfigError(f"ops={self.ops!r} takes no {', '.join(refused)}; expected ops={owner!r}")
            try:
                self.backend()
            except ValueError as error:
                raise ConfigError(str(error)) from None

    def backend(self) -> Ops:
        """Return the backend with its options."""
        return get_ops(self.ops, **self.options)
