"""The results of an evaluation, their table and their file."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from minigan.classifier import Classifier
from minigan.evaluation.copies import Memorisation
from minigan.evaluation.parzen import PUBLISHED
from minigan.metrics import Estimate, Parzen, share_of
from minigan.training import write_json
from minigan.training.environment import versions
from minigan.training.files import PathLike

NEIGHBOUR = 3  # the k of precision and recall
DENSITY_NEIGHBOUR = 5  # the k of density and coverage (Naeem et al. 2020), at most n - 1


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
    density, coverage : Estimate
        `minigan.metrics.density_coverage` of the classifier's features, k = 5.
    kid : Estimate
        `minigan.metrics.kid` of the classifier's features.
    sliced_wasserstein : Estimate
        `minigan.metrics.sliced_wasserstein` of the pixels in [0, 1]; the interval is that of the directions alone.

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
    density: Estimate
    coverage: Estimate
    kid: Estimate
    sliced_wasserstein: Estimate

    def as_dict(self) -> dict[str, Any]:
        """Return the row as JSON-serializable data; an estimate has "value", "low" and "high"."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value._asdict() if isinstance(value, Estimate) else value for name, value in values.items()}

    def intervals(self, n: int) -> str:
        """Return a line of the second table: the metrics with their 95 % intervals, for n images."""
        shares = [share_of(np.arange(n) < round(n * share)) for share in (self.precision, self.recall)]
        cells = [_cell(e, "{:.3f}") for e in (*shares, self.density, self.coverage)]
        cells.append(_cell(Estimate(*(1000 * v for v in self.kid)), "{:.2f}"))
        cells.append(_cell(self.sliced_wasserstein, "{:.4f}"))
        return f"{self.name:<18}" + "".join(f"{cell:>24}" for cell in cells)

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


INTERVALS_HEAD = f"{'95 % intervals':<18}" + "".join(
    f"{name:>24}" for name in ("precision", "recall", "density", "coverage", "1000 KID", "sliced Wasserstein")
)


def _cell(e: Estimate, form: str) -> str:
    value, low, high = (form.format(v) for v in e)
    return f"{value} [{low}, {high}]"


def _as_dict(found: Parzen) -> dict[str, Any]:
    return {**found._asdict(), "log_likelihood": found.log_likelihood._asdict()}


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
        The SHA-256 of the file `weights`.
    classifier : Classifier
        The evaluation classifier.
    accuracy : float
        Its accuracy on the baseline.
    rows : tuple of Row
        The results of the baseline and of the samples.
    weights : str
        The file with the generator's weights: "generator.npz", or "generator-ema.npz" for their moving average.
    memorisation : Memorisation, optional
        Whether samples are copies of training images.
    parzen : mapping of str to Parzen
        For MNIST with at least 10,000 samples: `mnist_parzen` of "samples", and `parzen_controls`.
    label_accuracy : float, optional
        The share of the samples in which the classifier reads the class that G was given; None for a generator that
        reads no labels.

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
    weights: str = "generator.npz"
    memorisation: Memorisation | None = None
    parzen: Mapping[str, Parzen] = field(default_factory=dict)
    label_accuracy: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the evaluation as JSON-serializable data."""
        about = self.classifier.about()
        return {
            "run": self.run, "recipe": self.recipe, "data": self.data, "note": self.note, "n": self.n,
            "seed": self.seed, "k": NEIGHBOUR, "weights": self.weights,
            "generator_sha256": self.generator, "classifier": about, "accuracy_on_control": self.accuracy,
            **({} if self.label_accuracy is None else {"label_accuracy": self.label_accuracy}),
            "versions": versions(), "rows": [row.as_dict() for row in self.rows],
            "memorisation": None if self.memorisation is None else self.memorisation.as_dict(),
            "parzen": {name: _as_dict(found) for name, found in self.parzen.items()},
        }  # fmt: skip

    @property
    def _of_average(self) -> str:
        return "" if self.weights == "generator.npz" else f" of the averaged generator, {self.weights}"

    def __str__(self) -> str:
        lines = [
            f"{self.run} ({self.recipe}): {self.n:,} samples{self._of_average}, noise seed {self.seed}",
            f"classifier of {self.data}: test accuracy {self.classifier.accuracy:.2%}"
            f" (on the first row {self.accuracy:.2%})",
            *([f"{self.data}: {self.note}"] if self.note else []),
            *([] if self.label_accuracy is None else [f"requested class read in {self.label_accuracy:.2%} of samples"]),
            "", HEAD, *map(str, self.rows), "",
            f"{'class':<18}" + "".join(f"{k:>7}" for k in range(len(self.rows[0].histogram))),
        ]  # fmt: skip
        lines += [f"{row.name:<18}" + "".join(f"{c / self.n:>7.1%}" for c in row.histogram) for row in self.rows]
        lines += ["", INTERVALS_HEAD, *(row.intervals(self.n) for row in self.rows)]
        lines += [
            f"Parzen log-likelihood of {name}: {p.log_likelihood.value:.1f} +- {p.standard_error:.1f} nats, "
            f"sigma {p.sigma:.3f}"
            for name, p in self.parzen.items()
        ]
        lines += [PUBLISHED] if self.parzen else []
        lines += ["", str(self.memorisation)] if self.memorisation is not None else []
        return "\n".join(lines)


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
