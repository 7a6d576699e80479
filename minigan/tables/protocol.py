"""What a table consists of: rows that are trained, columns that are measured, and published rows to compare with."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from minigan._names import ConfigError, unknown
from minigan.recipes import get_recipe

STANDARD_ERROR, STANDARD_DEVIATION = "standard error", "standard deviation"
SPREADS = (STANDARD_ERROR, STANDARD_DEVIATION)
SOURCES = ("summary", "evaluation")
"""What a measured key begins with: summary.json of a run, or its `minigan.evaluation.evaluate`."""


@dataclass(frozen=True)
class Column:
    """A column of figures: a number that every run of the table has.

    Parameters
    ----------
    name : str
        The name in table.json.
    heading : str
        The heading in table.md.
    key : str
        Where the number of a run is: "summary.modes" is "modes" in its summary.json; "evaluation.samples.precision",
        "evaluation.control.precision" and "evaluation.parzen.samples.log_likelihood.value" are results of
        `minigan.evaluation.evaluate` for its samples, for real test images, and of the Parzen estimate.
    digits : int
        The digits after the decimal point in table.md; table.json has all digits.
    percent : bool
        Whether table.md shows 100 times the number; False by default.

    """

    name: str
    heading: str
    key: str
    digits: int = 2
    percent: bool = False

    def __post_init__(self) -> None:
        source, _, rest = self.key.partition(".")
        if source not in SOURCES or not rest:
            raise ConfigError(f"key of the column {self.name!r}: got {self.key!r}; expected summary.* or evaluation.*")


@dataclass(frozen=True)
class Ours:
    """A row that is trained, with every seed of the table.

    Parameters
    ----------
    label : str
        The name for `--rows` and for the folder: lower-case letters, digits and hyphens.
    title : str
        The row's title in table.md.
    recipe : str
        The name of the recipe.
    overrides : mapping
        The hyper-parameters that differ from the recipe's defaults.

    """

    label: str
    title: str
    recipe: str
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.label):
            raise ConfigError(f"label: got {self.label!r}; expected lower-case letters, digits and hyphens")

    def settings(self, iterations: int | None = None) -> dict[str, Any]:
        """Return all hyper-parameters of the row's runs.

        Parameters
        ----------
        iterations : int, optional
            The number of iterations, in place of the protocol's.

        Returns
        -------
        dict
            The values by name.

        Raises
        ------
        ValueError
            If the recipe is unknown, or (`ConfigError`) a hyper-parameter is unknown or invalid.

        """
        more = {} if iterations is None else {"iterations": iterations}
        return dict(vars(get_recipe(self.recipe).configure({**self.overrides, **more})))


@dataclass(frozen=True)
class Control:
    """A row of real data, measured as the samples are: where the best figures lie that samples can have.

    Parameters
    ----------
    title : str
        The row's title in table.md.
    keys : mapping of str to str
        For the columns that have a control: the name of the column, and the key of the number in any finished run.
    label : str, optional
        The label of the row whose runs have these keys; by default any.

    """

    title: str
    keys: Mapping[str, str]
    label: str = ""


@dataclass(frozen=True)
class Published:
    """A row of figures from a publication.

    Parameters
    ----------
    title : str
        The row's title in table.md.
    figures : mapping of str to str
        The figures as printed there, by the names of the columns.
    source : str
        The publication: authors, year, table, arXiv number; and what its +- means.

    """

    title: str
    figures: Mapping[str, str]
    source: str


@dataclass(frozen=True)
class Protocol:
    """A published protocol: what is trained, with how many seeds, and what is measured.

    Parameters
    ----------
    name : str
        The name, as in ``minigan table NAME``.
    about : str
        One line on the data and the measurement.
    rows : sequence of Ours
        The rows that are trained, at least one.
    columns : sequence of Column
        The figures, at least one.
    published : sequence of Published
        The rows to compare with.
    controls : sequence of Control
        The rows of real data.
    seeds : int
        The number of seeds, 0 ... seeds-1.
    spread : {"standard error", "standard deviation"}
        What follows +- in our rows: of the mean over the seeds, or of the seeds (with n - 1).
    notes : sequence of str
        Sentences below the table.
    classifier : str
        The data set whose evaluation classifier must be in the cache folder before the first run; "" if none is
        needed.  A missing one is trained first, which takes some minutes.

    """

    name: str
    about: str
    rows: Sequence[Ours]
    columns: Sequence[Column]
    published: Sequence[Published] = ()
    controls: Sequence[Control] = ()
    seeds: int = 10
    spread: str = STANDARD_ERROR
    notes: Sequence[str] = ()
    classifier: str = ""

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        labels = [row.label for row in self.rows]
        for what, given in (("rows", labels), ("columns", names)):
            if not given or len({*given}) < len(given):
                raise ConfigError(f"{what} of {self.name}: got {given}; expected different ones, at least one")
        if self.spread not in SPREADS:
            raise ConfigError(unknown("spread", self.spread, SPREADS))
        if self.seeds < 1:
            raise ConfigError(f"seeds of {self.name} must be >= 1, got {self.seeds!r}")
        for title, filled in (
            *((row.title, row.figures) for row in self.published),
            *((row.title, row.keys) for row in self.controls),
        ):
            for name in filled:
                if name not in names:
                    raise ConfigError(f"{title}: {unknown('column', name, names)}")
        for control in self.controls:
            if control.label and control.label not in labels:
                raise ConfigError(f"{control.title}: {unknown('row', control.label, labels)}")

    def chosen(self, labels: Iterable[str] = ()) -> list[Ours]:
        """Return the rows of these labels, in the order of the protocol; all rows if there are no labels.

        Parameters
        ----------
        labels : iterable of str
            The labels.

        Returns
        -------
        list of Ours
            The rows.

        Raises
        ------
        ConfigError
            If there is no row of a label; the message suggests the most similar one.

        """
        wanted, known = list(labels), [row.label for row in self.rows]
        for label in wanted:
            if label not in known:
                raise ConfigError(unknown(f"row of {self.name}", label, known))
        return [row for row in self.rows if not wanted or row.label in wanted]
