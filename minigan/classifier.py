"""The evaluation classifier of `minigan evaluate`: a small network of this library's layers.

    x (N, H, H, C) -> conv 5x5, 16 -> max-pool -> conv 5x5, 32 -> max-pool -> 128 features h -> dropout -> 10 logits s

for 28x28 grey images; `Config` sets the sizes for other images.

ReLU follows each pooling (which gives the same result as ReLU before it, with a quarter of the values) and the dense
layer of the features.  The classifier is trained on the cross-entropy by Adam, with a cosine schedule from its learning
rate to zero.  Body and head are two networks, so that h can be read.
"""

import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan._arguments import set_flags, set_numbers, set_sizes
from minigan._deprecated import renamed_arguments
from minigan.cross_entropy import softmax_cross_entropy
from minigan.data import EpochBatches, Images, cache_folder
from minigan.initializers import HeNormal
from minigan.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU
from minigan.layers.base import ShapeError
from minigan.network import Network
from minigan.optimizers import Adam
from minigan.training import RunError, read_arrays, write_arrays
from minigan.training.files import PathLike, jsonable

Floats = NDArray[np.floating]
Log = Callable[[str], None]

CLASSES, FEATURES = 10, 128
IMAGES_PER_BLOCK = 500  # of a forward pass at inference
ABOUT = "about"  # the name of the JSON string among the arrays of the file


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
        _require(images, self.config)
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
        """Return the data set, the accuracy, the duration of training, the configuration and the layers (JSON-able)."""
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


@renamed_arguments(say="log")
def train_classifier(
    train: Images, test: Images, *, config: Config | None = None, log: Log | None = None
) -> Classifier:
    """Train a classifier and measure its test accuracy.

    Parameters
    ----------
    train, test : Images
        The training and the test images.
    config : Config, optional
        The hyper-parameters; by default those for 28x28 grey images.
    log : callable, optional
        ``log(message)`` is called with the cost and the time after each epoch.

    Returns
    -------
    Classifier
        The trained classifier.

    Raises
    ------
    ShapeError
        If the images do not have the shape of the configuration.

    """
    config = Config() if config is None else config
    for images in (train, test):
        _require(images.images, config)
    started = time.perf_counter()
    rng = np.random.default_rng(config.seed)
    net = untrained(config, rng)
    batches = EpochBatches(np.arange(len(train)), config.batch_size, rng)
    steps = config.epochs * batches.batches_per_epoch

    def lr(t: int) -> float:
        return config.lr * (1 + math.cos(math.pi * t / steps)) / 2

    adams = [Adam(net.body, lr=lr), Adam(net.head, lr=lr)]
    for epoch in range(config.epochs):
        costs = []
        for _ in range(batches.batches_per_epoch):
            chosen = batches()
            x = unit(train.images[chosen])
            if config.mirrored:
                x = mirrored(x, rng)
            costs.append(_step(net, adams, x, train.labels[chosen], rng))
        if log is not None:
            done, passed = f"epoch {epoch + 1} of {config.epochs}", time.perf_counter() - started
            log(f"classifier of {train.name}: {done}, cost {np.mean(costs):.4f}, {passed:.0f} s")
    seconds = time.perf_counter() - started
    return replace(net, data=train.name, accuracy=net.accuracy_on(test.images, test.labels), seconds=seconds)


def _step(net: Classifier, adams: list[Adam], x: Floats, labels: NDArray[Any], rng: np.random.Generator) -> float:
    h, back_body = net.body.forward(x, train=True, rng=rng)
    s, back_head = net.head.forward(h, train=True, rng=rng)
    cost, ds = softmax_cross_entropy(s, labels)
    g_body, g_head = net.body.zeros_like_theta(), net.head.zeros_like_theta()
    back_body(back_head(ds, g_head), g_body, need_dx=False)
    adams[0].step(g_body)
    adams[1].step(g_head)
    return float(cost)


def unit(images: NDArray[Any]) -> Floats:
    """Return images in [0, 1] as float32: bytes as x / 255, floats unchanged; raise TypeError for other integers."""
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise TypeError(f"images are {images.dtype}; expected uint8, or floating numbers in [0, 1]")
    return images.astype(np.float32) / 255 if images.dtype == np.uint8 else images.astype(np.float32)


def mirrored(x: Floats, rng: np.random.Generator) -> Floats:
    """Return x (N, H, W, C) with each image mirrored left to right with probability 1/2."""
    chosen = rng.random(len(x)) < 0.5
    return np.where(chosen[:, None, None, None], x[:, :, ::-1], x)


def _require(images: NDArray[Any], config: Config) -> None:
    if images.shape[1:] != config.shape or len(images) == 0:
        sizes = ", ".join(map(str, config.shape))
        raise ShapeError(f"images have shape {images.shape}; expected (N, {sizes}) with N >= 1")


def write_classifier(path: PathLike, net: Classifier) -> Path:
    """Write parameters, configuration and accuracy to an .npz file, without pickle.

    Parameters
    ----------
    path : path
        The file; an existing one is replaced.
    net : Classifier
        The classifier.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OSError
        If the file cannot be written.

    """
    return write_arrays(path, {**dict(_parameters(net)), ABOUT: np.array(json.dumps(net.about()))})


def read_classifier(path: PathLike) -> Classifier:
    """Read a classifier that `write_classifier` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Classifier
        The classifier.

    Raises
    ------
    RunError
        If the file is missing or damaged, or its layers are not those of this version; the message describes the fault.

    """
    arrays = read_arrays(path)
    try:
        about = json.loads(str(arrays.pop(ABOUT)))
        if not isinstance(about, dict) or not isinstance(about.get("config"), dict):
            raise ValueError("its description is not a JSON object with a configuration")
        net = untrained(Config(**about["config"]), np.random.default_rng(0))
        if net.about()["layers"] != about["layers"]:
            raise ValueError("its layers are not those of this version")
        for part in ("body", "head"):
            parameters = {k.removeprefix(f"{part}."): v for k, v in arrays.items() if k.startswith(f"{part}.")}
            getattr(net, part).load_parameters(parameters)
        return replace(net, data=str(about["data"]), accuracy=float(about["accuracy"]), seconds=float(about["seconds"]))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: not a classifier of minigan ({error})") from None


@renamed_arguments(say="log")
def classifier_of(train: Images, test: Images, *, folder: PathLike | None = None, log: Log | None = None) -> Classifier:
    """Read the classifier of a data set from a folder or, if there is none, train it and write it there.

    Parameters
    ----------
    train, test : Images
        The training and the test images of the data set.
    folder : path, optional
        The folder with the files DATA.npz; by default "classifiers" in the cache folder.
    log : callable, optional
        ``log(message)`` is called with the progress of the training.

    Returns
    -------
    Classifier
        The classifier, with its accuracy on the test images.

    Raises
    ------
    RunError
        If the file is damaged or belongs to other data, or the folder cannot be written.

    """
    folder = cache_folder() / "classifiers" if folder is None else Path(folder)
    path = folder / f"{train.name}.npz"
    if path.exists():
        return _read_for(path, train)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # fail before the training, not after it
            pass
    except OSError as error:
        raise RunError(f"{folder}: {error.strerror}; expected a folder for the classifier") from None
    if log is not None:
        log(f"{path} does not exist: training the classifier, once")
    net = train_classifier(train, test, config=CLASSIFIERS[train.name], log=log)
    write_classifier(path, net)
    if log is not None:
        log(f"classifier of {net.data}: {net.accuracy:.2%} of {len(test):,} test images right, written to {path}")
    return net


def _read_for(path: Path, train: Images) -> Classifier:
    """Read a classifier; raise RunError if it was trained on another data set."""
    try:
        net = read_classifier(path)
        if net.data != train.name:
            raise RunError(f"{path}: a classifier of {net.data!r}; expected one of {train.name}")
        if net.config.shape != train.images.shape[1:]:
            raise RunError(f"{path}: a classifier of images {net.config.shape}; expected {train.images.shape[1:]}")
    except RunError as error:
        raise RunError(f"{error}; without the file it is trained again") from None
    return net


def _parameters(net: Classifier) -> Iterator[tuple[str, Any]]:
    for part, network in (("body", net.body), ("head", net.head)):
        for name, value in network.parameters().items():
            yield f"{part}.{name}", value
