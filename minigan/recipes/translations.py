"""Translations between two domains: what a run of such a recipe draws, shows and measures in place of samples of G."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.recipes.figures import Samples
from minigan.recipes.options import RunOptions
from minigan.training.experiment import Run

if TYPE_CHECKING:
    from PIL.Image import Image

ROWS = ("A", "G_AB(A)", "G_BA(G_AB(A))", "B", "G_BA(B)", "G_AB(G_BA(B))")
"""What the six parts of a translation are."""
EXAMPLES_PER_BLOCK = 500
"""The examples of a forward pass."""


Kept = Callable[[str, Array], float | None]
"""``kept(direction, y)`` returns the share of kept labels of translations y; None if there is no classifier."""


@dataclass(frozen=True)
class Domains:
    """The data of two domains.

    Parameters
    ----------
    a, b : callable
        Functions that return the next batch of each domain, in the dtype of the networks.
    test : callable
        ``test(n, rng)`` returns n test examples of each domain, x_A and x_B, and `Kept` for them, with the directions
        "A_to_B" and "B_to_A".

    """

    a: Callable[[], Array]
    b: Callable[[], Array]
    test: Callable[[int, np.random.Generator], tuple[Array, Array, Kept]]


@dataclass(frozen=True)
class Translator:
    """How a recipe with two generators draws examples and shows their translations.

    Parameters
    ----------
    draw : callable
        ``draw(config, run_options, n, rng)`` returns n test examples of each domain, x_A and x_B.
    picture : callable
        ``picture(config, x, title)`` returns a picture (PIL) of translations (6, n, ...), as `translations` returns
        them.

    """

    draw: Callable[[Any, RunOptions, int, np.random.Generator], tuple[Array, Array]]
    picture: "Callable[[Any, Array, str], Image]"


def translations(players: Mapping[str, Network], a: Array, b: Array) -> Array:
    """Return examples, their translations, and the translations back.

    Parameters
    ----------
    players : mapping of str to Network
        The generators "G_AB" and "G_BA".
    a, b : array (N, ...)
        Examples of both domains, equally many.

    Returns
    -------
    array (6, N, ...)
        a, G_AB(a), G_BA(G_AB(a)), b, G_BA(b), G_AB(G_BA(b)): `ROWS`, in the dtype of the networks.

    """
    rows = []
    for x, out, home in ((a, "G_AB", "G_BA"), (b, "G_BA", "G_AB")):
        there = in_blocks(players[out], x)
        rows += [x.astype(there.dtype), there, in_blocks(players[home], there)]
    return np.stack(rows)


def in_blocks(net: Network, x: Array) -> Array:
    """Return net(x), computed for at most `EXAMPLES_PER_BLOCK` examples at a time."""
    return np.concatenate([net(x[k : k + EXAMPLES_PER_BLOCK]) for k in range(0, len(x), EXAMPLES_PER_BLOCK)])


def measure(players: Mapping[str, Network], a: Array, b: Array, kept: Kept) -> dict[str, Any]:
    """Return the errors of the translations of test examples.

    cycle error       mean |G_BA(G_AB(a)) - a|          identity error    mean |G_AB(b) - b|
    labels kept       the share of a whose translation a classifier assigns to the class of a

    Parameters
    ----------
    players : mapping of str to Network
        The generators "G_AB" and "G_BA".
    a, b : array (N, ...)
        Test examples of both domains, equally many.
    kept : callable
        As `Domains.test` returns it.

    Returns
    -------
    dict
        "translations" with these three numbers for each direction, and the worse of both directions under
        "cycle_error", "identity_error" and "labels_kept"; "labels_kept" is missing if there is no classifier.

    """
    x = translations(players, a, b).astype(float)
    same = {"A_to_B": in_blocks(players["G_AB"], b) - x[3], "B_to_A": in_blocks(players["G_BA"], a) - x[0]}
    found: dict[str, dict[str, float]] = {}
    for direction, start in (("A_to_B", 0), ("B_to_A", 3)):
        share = kept(direction, x[start + 1])
        found[direction] = {
            "cycle_error": float(np.abs(x[start + 2] - x[start]).mean()),
            "identity_error": float(np.abs(same[direction]).mean()),
            **({} if share is None else {"labels_kept": share}),
        }
    both = found.values()
    worst: dict[str, float] = {name: max(one[name] for one in both) for name in ("cycle_error", "identity_error")}
    if all("labels_kept" in one for one in both):
        worst["labels_kept"] = min(one["labels_kept"] for one in both)
    return {**worst, "translations": found}


class Translations(Samples):
    """Write pictures of the same translations during training, and at the end an animation of them and loss curves.

    The files are those of `Samples`: samples_NNNNNN.png after iteration NNNNNN, samples.gif, samples.png (the last
    picture) and losses.png.

    Parameters
    ----------
    players : mapping of str to Network
        The generators "G_AB" and "G_BA".
    a, b : array (N, ...)
        The examples that are shown.
    picture : callable
        ``picture(x, title)`` returns a picture of translations (6, N, ...).
    every : int
        Iterations between two pictures.

    """

    def __init__(
        self,
        players: Mapping[str, Network],
        a: Array,
        b: Array,
        picture: "Callable[[Array, str], Image]",
        *,
        every: int,
    ) -> None:
        self.players, self.a, self.b, self.picture, self.every = players, a, b, picture, every
        self.drawn = []

    def on_end(self, run: Run) -> None:
        """Write the last picture, the animation and the loss curves."""
        from minigan import plots

        if run.folder is None:
            return
        if run.iteration % self.every:
            self._draw(run)
        title = f"translations after {run.iteration} iterations"
        plots.save_picture(self._picture(title), run.folder / "samples.png")
        self._animate(run.folder)
        if run.history:
            plots.save(plots.cost_curves(run.history), run.folder / "losses.png")

    def _draw(self, run: Run) -> None:
        from minigan.plots import save_picture

        if run.folder is None:
            return
        save_picture(self._picture(f"iteration {run.iteration}"), self._path(run.folder, run.iteration))
        self.drawn.append(run.iteration)

    def _picture(self, title: str) -> "Image":
        return self.picture(translations(self.players, self.a, self.b), title)
