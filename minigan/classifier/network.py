"""The classifier: its hyper-parameters, networks and predictions."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan._arguments import set_flags, set_numbers, set_sizes
from minigan.initializers import HeNormal
from minigan.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU
from minigan.layers.base import ShapeError
from minigan.network import Network
from minigan.training import RunError
from minigan.training.files import jsonable

Floats = NDArray[np.floating]
Log = Callable[[str], None]

CLASSES, FEATURES = 10, 128
IMAGES_PER_BLOCK = 500  # of a forward pass at inference


@dataclass(frozen=True)
class Config:
    """The hyper-parameters.

    Parameters
    ----------
    epochs : int
        The number of passes over the training images.
    batch_size : int
        The number of images in a batch.
    lr : float
        The initial learning rate, > 0.
    dropout : float
        The probability of dropping a feature, in [0, 1).
    seed : int
        The seed of the weights, the batches and dropout.
    side : int
        The height and width of the images in pixels, a multiple of 4.
    colours : int
        The number of channels of the images.
    channels : int
        The number of channels of the first convolution; the second one has twice as many.
    mirrored : bool
        Whether to mirror half of the training images, chosen at random.

    Raises
    ------
    ValueError
        If a value is outside its range.

    """

    epochs: int = 5
    batch_size: int = 128
    lr: float = 2e-3
    dropout: float = 0.4
    seed: int = 0
    side: int = 28
    colours: int = 1
    channels: int = 16
    mirrored: bool = False

    def __post_init__(self) -> None:
        set_sizes(self, "epochs", "batch_size", "side", "colours", "channels")
        set_numbers(self, lr="(0, inf)", dropout="[0, 1)")
        set_flags(self, "mirrored")
        if self.side % 4:
            raise ValueError(f"side must be a multiple of 4, got {self.side}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape (H, W, C) of the images."""
        return self.side, self.side, self.colours


CLASSIFIERS = {
    "mnist": Config(),
    "fashion-mnist": Config(),
    "cifar10": Config(side=32, colours=3, epochs=8, mirrored=True),
    "digits": Config(epochs=8, batch_size=32),
}


@dataclass(frozen=True)
class Classifier:
    """A classifier of images.

    Parameters
    ----------
    body, head : Network
        The networks x -> h and h -> s.
    config : Config
        The hyper-parameters.
    data : str
        The name of the data set.
    accuracy : float
        The accuracy on the test images.
    seconds : float
        The duration of the training.

    """

    body: Network
    head: Network
    config: Config
    data: str = ""
    accuracy: float = math.nan
    seconds: float = math.nan

    def predict(self, images: NDArray[Any]) -> tuple[Floats, Floats]:
        """Compute features and class probabilities.

        Parameters
        ----------
        images : array, shape (N, H, W, C)
            Bytes, or floats in [0, 1]; (H, W, C) is ``config.shape``.

        Returns
        -------
        features : array of float64, shape (N, 128)
            The features h.
        probabilities : array of float64, shape (N, 10)
            softmax(s).

        Raises
        ------
        ShapeError
            If the images have another shape, or there are none.
        TypeError
            If the images are integers other than bytes.
        RunError
            If an output is not finite.

        """
        require_images(images, self.config)
        features, logits = [], []
        for start in range(0, len(images), IMAGES_PER_BLOCK):
            h = self.body(unit(images[start : start + IMAGES_PER_BLOCK]))
            features.append(h)
            logits.append(self.head(h))
        s = np.concatenate(logits).astype(float)
        if not np.isfinite(s).all():  # argmax of NaN is class 0, which some labels are
            raise RunError("the classifier's outputs are not finite: NaN or inf is in its parameters or in the images")
        e = np.exp(s - s.max(axis=1, keepdims=True))
        return np.concatenate(features).astype(float), e / e.sum(axis=1, keepdims=True)

    def accuracy_on(self, images: NDArray[Any], labels: NDArray[Any]) -> float:
        """Return the fraction of images (N, H, W, C) whose most probable class is their label (N,)."""
        return float((self.predict(images)[1].argmax(axis=1) == labels).mean())

    def about(self) -> dict[str, Any]:
        """Return data set, accuracy, duration of training, configuration and layers, as JSON-serializable values."""
        known = {"data": self.data, "accuracy": self.accuracy, "seconds": self.seconds, "config": asdict(self.config)}
        known["layers"] = self.body.to_config() + self.head.to_config()
        return dict(jsonable(known))


def untrained(config: Config, rng: np.random.Generator) -> Classifier:
    """Return a classifier with initial weights.

    Parameters
    ----------
    config : Config
        The hyper-parameters.
    rng : numpy.random.Generator
        The random stream of the weights.

    Returns
    -------
    Classifier
        The body has 214,080 parameters and the head 1,290, with the default configuration.

    """
    he, pixels, c = HeNormal(), (config.side // 4) ** 2, config.channels
    body = [
        Conv2D(config.colours, c, 5, padding=2, weight_init=he), MaxPool2D(2), ReLU(),
        Conv2D(c, 2 * c, 5, padding=2, weight_init=he), MaxPool2D(2), ReLU(),
        Flatten(), Dense(2 * c * pixels, FEATURES, weight_init=he), ReLU(),
    ]  # fmt: skip
    head = [Dropout(config.dropout), Dense(FEATURES, CLASSES)]
    return Classifier(Network(body, rng=rng), Network(head, rng=rng), config)


def unit(images: NDArray[Any]) -> Floats:
    """Return images in [0, 1] as float32: bytes as x / 255, floats unchanged; raise TypeError for other integers."""
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise TypeError(f"images are {images.dtype}; expected uint8, or floating numbers in [0, 1]")
    return images.astype(np.float32) / 255 if images.dtype == np.uint8 else images.astype(np.float32)


def require_images(images: NDArray[Any], config: Config) -> None:
    """Raise ShapeError unless `images` are one or more images of the size in `config`."""
    if images.shape[1:] != config.shape or len(images) == 0:
        sizes = ", ".join(map(str, config.shape))
        raise ShapeError(f"images have shape {images.shape}; expected (N, {sizes}) with N >= 1")
