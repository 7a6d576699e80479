"""Compare samples of a run, and real test images, with training images."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan._deprecated import renamed_arguments
from minigan._names import ConfigError
from minigan.classifier import CLASSIFIERS, Classifier, Log, classifier_of
from minigan.evaluation.copies import memorisation
from minigan.evaluation.images import match_blur, splits, spread, to_classifier_size
from minigan.evaluation.parzen import SAMPLES as PARZEN_SAMPLES
from minigan.evaluation.parzen import fits, mnist_parzen, parzen_controls
from minigan.evaluation.report import DENSITY_NEIGHBOUR, NEIGHBOUR, Evaluation, Row
from minigan.metrics import (
    class_histogram,
    classifier_score,
    density_coverage,
    frechet_distance,
    kid,
    mean_confidence,
    nearest,
    precision_recall,
    sliced_wasserstein,
    total_variation,
)
from minigan.recipes import Recipe
from minigan.recipes.labels import sample_labels
from minigan.runs import generator_file, load_config, load_generator, sample
from minigan.training import RunError, read_json
from minigan.training.files import PathLike

Floats = NDArray[np.floating]

MAX_SAMPLES = 10_000  # the default number of samples, if there are as many test images
BASELINE = "real test images"
DIRECTIONS_SEED = 0  # of the sliced Wasserstein distance: all rows are projected on the same directions


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
        chosen = examples[spread(len(examples), n)]
        self.features, _ = net.predict(chosen)
        self.pixels = chosen.reshape(n, -1)

    def row(self, name: str, images: Floats) -> Row:
        """Return the results for a set of images (n, H, W, C) in [0, 1]."""
        return self.measure(name, images)[0]

    def measure(self, name: str, images: Floats) -> tuple[Row, NDArray[np.float64]]:
        """Return the results for a set of images, and the distance of each to the nearest training image."""
        features, p = self.net.predict(images)
        histogram = class_histogram(p)
        manifolds = precision_recall(self.features, features, k=NEIGHBOUR)
        near = density_coverage(self.features, features, k=min(DENSITY_NEIGHBOUR, len(self.features) - 1))
        _, distance = nearest(images, self.examples)
        row = Row(
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
            density=near.density,
            coverage=near.coverage,
            kid=kid(self.features, features),
            sliced_wasserstein=sliced_wasserstein(
                self.pixels, images.reshape(len(images), -1), rng=np.random.default_rng(DIRECTIONS_SEED)
            ),
        )
        return row, distance


@renamed_arguments(say="log")
def evaluate(
    run: PathLike,
    *,
    n: int | None = None,
    seed: int = 0,
    data_dir: PathLike | None = None,
    classifier: PathLike | None = None,
    log: Log | None = None,
    raw: bool = False,
    recipe: Recipe | str | None = None,
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
    raw : bool
        Whether to use the parameters of the last iteration also if the run has averaged them (hyper-parameter `ema`).
    recipe : Recipe or str, optional
        The recipe of the run, if it is neither built in nor registered, as for `minigan.runs.load_config`.

    Returns
    -------
    Evaluation
        The results for the baseline and for the samples.

    Raises
    ------
    ConfigError
        If n is outside its range, or as `minigan.runs.load_config` raises it.
    RunError
        If the run was not trained on images of a known data set, or a file is missing or damaged.
    DataError
        If data files are missing or damaged.

    """
    recipe, config, _ = load_config(run, recipe=recipe)
    if "images" in read_json(Path(run) / "config.json"):
        raise RunError(f"{run}: trained on your own images; expected a run on {', '.join(CLASSIFIERS)}")
    data = _data(recipe, config)
    train, test = splits(data, data_dir=data_dir)
    limit, shape = min(len(train), len(test)), train.images.shape[1:]
    n = min(MAX_SAMPLES, limit) if n is None else n
    if isinstance(n, bool) or not isinstance(n, int) or not NEIGHBOUR < n <= limit:
        raise ConfigError(f"n must be an int in {NEIGHBOUR + 1} ... {limit} (the test images of {data}), got {n!r}")
    x, labels_of_x = sample(run, n=n, seed=seed, raw=raw, recipe=recipe), _labels(run, recipe, n)
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
    weights = generator_file(run, raw=raw)
    baseline, real_distance = reference.measure(BASELINE, real)
    samples, fake_distance = reference.measure("samples", fake)
    likelihoods = {}
    if fits(data, images.shape[1:], n):
        found = mnist_parzen(images[:PARZEN_SAMPLES], train=train, test=test)
        likelihoods = {"samples": found, **parzen_controls(train=train, test=test)}
    return Evaluation(
        run=str(run),
        recipe=recipe.name,
        data=data,
        note=train.note,
        n=n,
        seed=seed,
        generator=hashlib.sha256(weights.read_bytes()).hexdigest(),
        weights=weights.name,
        classifier=net,
        accuracy=net.accuracy_on(real, labels),
        rows=(baseline, samples),
        memorisation=memorisation(real_distance, fake_distance),
        parzen=likelihoods,
        label_accuracy=None if labels_of_x is None else net.accuracy_on(fake, labels_of_x),
    )


def _labels(run: PathLike, recipe: Recipe, n: int) -> NDArray[np.integer] | None:
    """Return the classes of n samples of a run, as `sample` gives them; None if its generator reads no labels."""
    return sample_labels(recipe.name, load_generator(run, recipe=recipe)[0].n_classes, n)


def _data(recipe: Recipe, config: Any) -> str:
    """Return the name of the data set of a run; raise RunError if there is no classifier for it."""
    if recipe.measures:
        raise RunError(
            f"{recipe.name} {recipe.measures} are in summary.json; expected a run of a recipe with one generator of "
            "images of the data set, such as mnist-dense"
        )
    if recipe.to_images is None:
        raise RunError(f"{recipe.name} does not make images; expected a run of an image recipe, such as mnist-dense")
    data = str(getattr(config, "data", None))
    if data not in CLASSIFIERS:
        raise RunError(f"data={data}: there is no classifier for it; expected a run on {', '.join(CLASSIFIERS)}")
    return data
