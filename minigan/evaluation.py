"""Evaluate the samples of a run with a classifier and nearest neighbours, beside real test images as the baseline.

    found = evaluate("runs/mnist-dense/001")
    print(found)

Each set of images, first the baseline of real test images, is compared with the same training images:

    total variation   of the class histogram from the uniform one          (0: all classes equally often)
    confidence        mean_n max_k p(k | x_n)
    score             exp(E KL(p(y | x) || p(y)))                          (Salimans et al. 2016, with our classifier)
    Frechet           between the classifier's 128 features, not FID       (Heusel et al. 2017, with our classifier)
    precision, recall of the manifolds of features, k = 3                  (Kynkaanniemi et al. 2019)
    nearest           Euclidean distances of pixels in [0, 1] to the nearest training image

A generator that copies its training images has distances far below those of the baseline.  All sets have the same
size, because Frechet distance, precision and recall depend on it.
"""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan._deprecated import renamed_arguments
from minigan._names import ConfigError
from minigan.classifier import CLASSIFIERS, Classifier, Log, classifier_of, unit
from minigan.data import Images, downsample, load, resize
from minigan.metrics import (
    class_histogram,
    classifier_score,
    frechet_distance,
    mean_confidence,
    nearest,
    precision_recall,
    total_variation,
)
from minigan.recipes import Recipe
from minigan.runs import load_config, sample
from minigan.training import RunError, read_json, write_json
from minigan.training.environment import versions
from minigan.training.files import PathLike

Floats = NDArray[np.floating]

K = 3  # the k of precision and recall
MAX_SAMPLES = 10_000  # the default number of samples, where there are as many test images
BASELINE = "real test images"
DIGITS_PER_TEST_IMAGE = 6  # the digits have one split: every sixth image is a test image
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Row:
    """The results for one set of images."""

    name: str
    histogram: list[int]
    total_variation: float
    confidence: float
    score: float
    classifier_frechet_distance: float
    precision: float
    recall: float
    nearest_least: float
    nearest_1_percent: float
    nearest_median: float

    def __str__(self) -> str:
        return (
            f"{self.name:<18}{self.total_variation:>9.4f}{self.confidence:>12.4f}{self.score:>8.3f}"
            f"{self.classifier_frechet_distance:>20.3f}{self.precision:>11.3f}{self.recall:>8.3f}"
            f"{self.nearest_least:>9.2f}{self.nearest_1_percent:>7.2f}{self.nearest_median:>8.2f}"
        )


HEAD = (
    f"{'':<18}{'total':>9}{'':>12}{'':>8}{'classifier':>20}{'':>11}{'':>8}{'nearest training image':>24}\n"
    f"{'':<18}{'variation':>9}{'confidence':>12}{'score':>8}{'Frechet distance':>20}{'precision':>11}{'recall':>8}"
    f"{'least':>9}{'1 %':>7}{'median':>8}"
)


@dataclass(frozen=True)
class Evaluation:
    """The results of `evaluate`: the baseline and the samples; ``print(found)`` shows the table."""

    run: str
    recipe: str
    data: str
    note: str  # which part of the published training images was available, where it is not all
    n: int  # images per row, and training images whose features they are compared with
    seed: int  # of the noise
    generator: str  # SHA-256 of generator.npz
    classifier: Classifier
    accuracy: float  # of the classifier on the baseline
    rows: tuple[Row, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the evaluation as JSON-able data."""
        about = self.classifier.about()
        return {
            "run": self.run, "recipe": self.recipe, "data": self.data, "note": self.note, "n": self.n,
            "seed": self.seed, "k": K,
            "generator_sha256": self.generator, "classifier": about, "accuracy_on_control": self.accuracy,
            "versions": versions(), "rows": [asdict(row) for row in self.rows],
        }  # fmt: skip

    def __str__(self) -> str:
        lines = [
            f"{self.run} ({self.recipe}): {self.n:,} samples, noise seed {self.seed}",
            f"classifier of {self.data}: test accuracy {self.classifier.accuracy:.2%}"
            f" (on the first row {self.accuracy:.2%})",
            *([f"{self.data}: {self.note}"] if self.note else []),
            "", HEAD, *map(str, self.rows), "",
            f"{'class':<18}" + "".join(f"{k:>7}" for k in range(len(self.rows[0].histogram))),
        ]  # fmt: skip
        lines += [f"{row.name:<18}" + "".join(f"{c / self.n:>7.1%}" for c in row.histogram) for row in self.rows]
        return "\n".join(lines)


class Reference:
    """The training images that sets of n images (n, H, W, C) are compared with, and the features of n of them."""

    def __init__(self, net: Classifier, examples: Floats, n: int) -> None:
        self.net, self.examples = net, examples
        self.features, _ = net.predict(examples[spread(len(examples), n)])

    def row(self, name: str, images: Floats) -> Row:
        """Return the results for a set of images."""
        features, p = self.net.predict(images)
        histogram = class_histogram(p)
        manifolds = precision_recall(self.features, features, k=K)
        _, distance = nearest(images, self.examples)
        return Row(
            name=name,
            histogram=histogram.tolist(),
            total_variation=total_variation(histogram),
            confidence=mean_confidence(p),
            score=classifier_score(p),
            classifier_frechet_distance=frechet_distance(self.features, features),
            precision=manifolds.precision,
            recall=manifolds.recall,
            nearest_least=float(distance.min()),
            nearest_1_percent=float(np.quantile(distance, 0.01)),
            nearest_median=float(np.median(distance)),
        )


@renamed_arguments(say="log")
def evaluate(
    run: PathLike,
    *,
    n: int | None = None,
    seed: int = 0,
    data_dir: PathLike | None = None,
    classifier: PathLike | None = None,
    log: Log | None = None,
) -> Evaluation:
    """Compare samples of a run with real test images.

    Parameters
    ----------
    run : path
        The run folder of an image recipe.
    n : int, optional
        The number of samples and of test images, at least 4; by default as many as there are test images, at most
        10,000.
    seed : int
        The seed of the noise.
    data_dir : path, optional
        The folder with the data files; by default $MINIGAN_DATA, then the cache folder.
    classifier : path, optional
        The folder with the classifiers, by default in the cache folder.  A classifier that is missing is trained, which
        takes minutes, and kept there.
    log : callable, optional
        ``log(message)`` is called with the progress of that training.

    Returns
    -------
    Evaluation
        The results for the baseline and for the samples.

    Raises
    ------
    ConfigError
        If n is out of range.
    RunError
        If the run is not one on images of a known data set, or a file is missing or damaged.
    DataError
        If data files are missing or damaged.

    """
    recipe, config, _ = load_config(run)
    if "images" in read_json(Path(run) / "config.json"):
        raise RunError(f"{run}: trained on your own images; expected a run on {', '.join(CLASSIFIERS)}")
    data = _data(recipe, config)
    train, test = splits(data, data_dir=data_dir)
    most, shape = min(len(train), len(test)), train.images.shape[1:]
    n = min(MAX_SAMPLES, most) if n is None else n
    if isinstance(n, bool) or not isinstance(n, int) or not K < n <= most:
        raise ConfigError(f"n must be an int in {K + 1} ... {most} (the test images of {data}), got {n!r}")
    x = sample(run, n=n, seed=seed)
    images = recipe.to_images(x) if recipe.to_images is not None else x
    _, size, _, colours = images.shape
    if size < shape[0] or colours < shape[2]:
        raise RunError(
            f"{run}: its images are {images.shape[1:]}, those of {data} {shape}; expected as large or larger"
        )
    net = classifier_of(train, test, folder=classifier, log=log)
    fake, chosen = to_classifier_size(images, shape), spread(len(test), n)
    real, labels = match_blur(test.images[chosen], size), test.labels[chosen]
    reference = Reference(net, match_blur(train.images, size), n)
    return Evaluation(
        run=str(run),
        recipe=recipe.name,
        data=data,
        note=train.note,
        n=n,
        seed=seed,
        generator=hashlib.sha256((Path(run) / "generator.npz").read_bytes()).hexdigest(),
        classifier=net,
        accuracy=net.accuracy_on(real, labels),
        rows=(reference.row(BASELINE, real), reference.row("samples", fake)),
    )


def _data(recipe: Recipe, config: Any) -> str:
    """Return the name of the data set of a run; RunError where it has no classifier."""
    if recipe.to_images is None:
        raise RunError(f"{recipe.name} does not make images; expected a run of an image recipe, such as mnist-dense")
    data = str(config.data)
    if data not in CLASSIFIERS:
        raise RunError(f"data={data}: there is no classifier for it; expected a run on {', '.join(CLASSIFIERS)}")
    return data


def splits(data: str, *, data_dir: PathLike | None = None) -> tuple[Images, Images]:
    """Return the training and the test images.

    The digits have one split: every sixth image is a test image here, although generators are trained on all of them.
    """
    train = load(data, "train", data_dir=data_dir)
    if data != "digits":
        return train, load(data, "test", data_dir=data_dir)
    is_test = np.arange(len(train)) % DIGITS_PER_TEST_IMAGE == DIGITS_PER_TEST_IMAGE - 1
    apart, rest = (Images(data, train.images[chosen], train.labels[chosen]) for chosen in (is_test, ~is_test))
    return rest, apart


def spread(length: int, n: int) -> NDArray[np.intp]:
    """Return n indices evenly spread over 0 ... length - 1.

    >>> spread(10, 4).tolist()
    [0, 2, 5, 7]
    """
    return np.arange(n) * length // n


def to_classifier_size(images: NDArray[Any], shape: Shape) -> Floats:
    """Return images (N, H, H, C), bytes or floats in [0, 1], as float32 (N, *shape) in [0, 1]; `shape` is not larger.

    The colours are averaged where `shape` has one channel, then the area of each new pixel (`downsample`).
    """
    side, _, colours = shape
    x = unit(np.asarray(images))
    x = x if colours == x.shape[3] else x.mean(axis=3, keepdims=True)
    return x if x.shape[1:3] == (side, side) else downsample(x, side)


def match_blur(images: NDArray[np.uint8], size: int) -> Floats:
    """Return real images (N, H, H, C) as blurred as samples of `size` x `size` are when they are downsampled to H x H.

    Bytes are enlarged (`resize`) to `size` and downsampled again, as float32 in [0, 1].
    """
    if size == images.shape[1]:
        return unit(images)
    y = np.empty(images.shape, dtype=np.float32)
    for start in range(0, len(images), 1000):
        y[start : start + 1000] = to_classifier_size(resize(unit(images[start : start + 1000]), size), images.shape[1:])
    return y


def write_evaluation(folder: PathLike, found: Evaluation) -> Path:
    """Write an evaluation into a run folder, as evaluation.json or the next free evaluation-002.json, -003, ..."""
    number = 1
    while True:
        path = Path(folder) / ("evaluation.json" if number == 1 else f"evaluation-{number:03d}.json")
        try:
            return write_json(path, found.as_dict(), new=True)
        except FileExistsError:
            number += 1
