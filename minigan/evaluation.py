"""Evaluate the samples of a run, and real test images as the baseline, with a classifier and nearest neighbours.

    found = evaluate("runs/mnist-dense/001")
    print(found)

Both sets of images, the baseline and the samples, are compared with the same training images:

    total variation   of the class histogram from the uniform one          (0: all classes are equally frequent)
    confidence        mean_n max_k p(k | x_n)
    score             exp(E KL(p(y | x) || p(y)))                          (Salimans et al. 2016, with our classifier)
    Frechet           between the classifier's 128 features, not FID       (Heusel et al. 2017, with our classifier)
    precision, recall of the manifolds of features, k = 3                  (Kynkaanniemi et al. 2019)
    nearest           Euclidean distances of pixels in [0, 1] to the nearest training image

A generator that copies its training images has distances far below those of the baseline.  Both sets have the same
size, on which the Frechet distance, precision and recall depend.
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

NEIGHBOUR = 3  # the k of precision and recall
MAX_SAMPLES = 10_000  # the default number of samples, if there are as many test images
BASELINE = "real test images"
DIGITS_PER_TEST_IMAGE = 6  # the digits have one split, of which every sixth image is a test image
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Row:
    """The results for one set of images.

    Parameters
    ----------
    name : str
        The set, "real test images" or "samples".
    histogram : list of int
        The number of images of each class.
    total_variation, confidence, score : float
        `minigan.metrics.total_variation`, `mean_confidence` and `classifier_score`.
    classifier_frechet_distance, precision, recall : float
        `minigan.metrics.frechet_distance` and `precision_recall` of the classifier's features.
    nearest_least, nearest_1_percent, nearest_median : float
        The minimum, the 1 % quantile and the median of the distances to the nearest training image.

    """

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
    """The results of `evaluate`; ``print(found)`` shows the table.

    Parameters
    ----------
    run : str
        The run folder.
    recipe, data : str
        The names of the recipe and of the data set.
    note : str
        The part of the published training images that was available; empty if it was all of them.
    n : int
        The number of images in each row, and of training images whose features they are compared with.
    seed : int
        The seed of the noise.
    generator : str
        The SHA-256 of generator.npz.
    classifier : Classifier
        The evaluation classifier.
    accuracy : float
        Its accuracy on the baseline.
    rows : tuple of Row
        The results of the baseline and of the samples.

    """

    run: str
    recipe: str
    data: str
    note: str
    n: int
    seed: int
    generator: str
    classifier: Classifier
    accuracy: float
    rows: tuple[Row, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the evaluation as JSON-able data."""
        about = self.classifier.about()
        return {
            "run": self.run, "recipe": self.recipe, "data": self.data, "note": self.note, "n": self.n,
            "seed": self.seed, "k": NEIGHBOUR,
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
    """The training images with which sets of n images are compared.

    Parameters
    ----------
    net : Classifier
        The evaluation classifier.
    examples : array, shape (N, H, W, C)
        The training images, in [0, 1].
    n : int
        The number of images in each set, and of training images whose features they are compared with.

    """

    def __init__(self, net: Classifier, examples: Floats, n: int) -> None:
        self.net, self.examples = net, examples
        self.features, _ = net.predict(examples[spread(len(examples), n)])

    def row(self, name: str, images: Floats) -> Row:
        """Return the results for a set of images (n, H, W, C) in [0, 1]."""
        features, p = self.net.predict(images)
        histogram = class_histogram(p)
        manifolds = precision_recall(self.features, features, k=NEIGHBOUR)
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
        The number of samples and of test images, at least 4; by default the number of test images, at most 10,000.
    seed : int
        The seed of the noise; 0 by default.
    data_dir : path, optional
        The folder with the data files; by default $MINIGAN_DATA, then the cache folder.
    classifier : path, optional
        The folder of the classifiers; by default in the cache folder.  A missing classifier is trained, which takes
        some minutes, and written there.
    log : callable, optional
        ``log(message)`` is called with the progress of this training.

    Returns
    -------
    Evaluation
        The results for the baseline and for the samples.

    Raises
    ------
    ConfigError
        If n is outside its range.
    RunError
        If the run was not trained on images of a known data set, or a file is missing or damaged.
    DataError
        If data files are missing or damaged.

    """
    recipe, config, _ = load_config(run)
    if "images" in read_json(Path(run) / "config.json"):
        raise RunError(f"{run}: trained on your own images; expected a run on {', '.join(CLASSIFIERS)}")
    data = _data(recipe, config)
    train, test = splits(data, data_dir=data_dir)
    limit, shape = min(len(train), len(test)), train.images.shape[1:]
    n = min(MAX_SAMPLES, limit) if n is None else n
    if isinstance(n, bool) or not isinstance(n, int) or not NEIGHBOUR < n <= limit:
        raise ConfigError(f"n must be an int in {NEIGHBOUR + 1} ... {limit} (the test images of {data}), got {n!r}")
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
    """Return the name of the data set of a run; raise RunError if there is no classifier for it."""
    if recipe.to_images is None:
        raise RunError(f"{recipe.name} does not make images; expected a run of an image recipe, such as mnist-dense")
    data = str(config.data)
    if data not in CLASSIFIERS:
        raise RunError(f"data={data}: there is no classifier for it; expected a run on {', '.join(CLASSIFIERS)}")
    return data


def splits(data: str, *, data_dir: PathLike | None = None) -> tuple[Images, Images]:
    """Load the training and the test images of a data set.

    The digits have one split: every sixth image is a test image here, although generators are trained on all of them.

    Parameters
    ----------
    data : str
        The name of the data set, as for `minigan.data.load`.
    data_dir : path, optional
        The folder with the data files.

    Returns
    -------
    train, test : Images
        The images with their labels.

    Raises
    ------
    DataError
        If data files are missing or damaged.

    """
    train = load(data, "train", data_dir=data_dir)
    if data != "digits":
        return train, load(data, "test", data_dir=data_dir)
    is_test = np.arange(len(train)) % DIGITS_PER_TEST_IMAGE == DIGITS_PER_TEST_IMAGE - 1
    test, rest = (Images(data, train.images[chosen], train.labels[chosen]) for chosen in (is_test, ~is_test))
    return rest, test


def spread(length: int, n: int) -> NDArray[np.intp]:
    """Return n indices that are evenly spread over 0 ... length - 1.

    >>> spread(10, 4).tolist()
    [0, 2, 5, 7]
    """
    return np.arange(n) * length // n


def to_classifier_size(images: NDArray[Any], shape: Shape) -> Floats:
    """Convert images to the size and the channels that the classifier reads.

    If `shape` has fewer channels, the colours are averaged; then the images are downsampled (`downsample`).

    Parameters
    ----------
    images : array, shape (N, H, H, C)
        Bytes, or floats in [0, 1].
    shape : (int, int, int)
        The shape (H, W, C) of the classifier's images, not larger than that of `images`.

    Returns
    -------
    array of float32, shape (N, *shape)
        The images, in [0, 1].

    """
    side, _, colours = shape
    x = unit(np.asarray(images))
    x = x if colours == x.shape[3] else x.mean(axis=3, keepdims=True)
    return x if x.shape[1:3] == (side, side) else downsample(x, side)


def match_blur(images: NDArray[np.uint8], size: int) -> Floats:
    """Blur real images as samples of `size` x `size` are blurred when they are downsampled.

    The images are enlarged to `size` (`resize`), as for training, and downsampled again.

    Parameters
    ----------
    images : array of uint8, shape (N, H, H, C)
        The real images.
    size : int
        The height and width of the samples in pixels, at least H.

    Returns
    -------
    array of float32, shape (N, H, H, C)
        The images, in [0, 1].

    """
    if size == images.shape[1]:
        return unit(images)
    y = np.empty(images.shape, dtype=np.float32)
    for start in range(0, len(images), 1000):
        y[start : start + 1000] = to_classifier_size(resize(unit(images[start : start + 1000]), size), images.shape[1:])
    return y


def write_evaluation(folder: PathLike, found: Evaluation) -> Path:
    """Write an evaluation to evaluation.json, or to the next free name evaluation-002.json, ..., in a run folder.

    Parameters
    ----------
    folder : path
        The run folder.
    found : Evaluation
        The evaluation.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OSError
        If the file cannot be written.

    """
    number = 1
    while True:
        path = Path(folder) / ("evaluation.json" if number == 1 else f"evaluation-{number:03d}.json")
        try:
            return write_json(path, found.as_dict(), new=True)
        except FileExistsError:
            number += 1
