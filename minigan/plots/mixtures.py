"""Runs on a mixture in the plane, side by side: samples over a map of D, and the number of modes that they reach."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from minigan._arguments import size
from minigan._matplotlib import Axes, Figure
from minigan.plots import palette
from minigan.plots.write import rasterise, save_gif
from minigan.training.files import PathLike, RunError, read_arrays, read_json

FRAMES_FILE = "frames.npz"
"""The file of a run folder with its frames."""
FIELDS = ("iterations", "samples", "d", "modes", "high_quality", "examples", "half_width", "of")
D_LEVELS = 8
"""The shades of D's map: few, so that the animations stay small."""
D_MAP = LinearSegmentedColormap.from_list("D", ["white", palette.D], N=D_LEVELS)
MAX_COLUMNS = 6


@dataclass(frozen=True)
class Recording:
    """The frames of a run on a mixture in the plane.

    Parameters
    ----------
    label : str
        The title of the run.
    iterations : array of int (F,)
        The iteration of each frame, increasing.
    samples : array (F, n, 2)
        Samples of G.
    d : array of uint8 (F, R, R)
        255 D on a square grid of points, from the lowest to the highest x_2, and in a row from the lowest to the
        highest x_1.
    modes, high_quality : array (F,)
        The number of modes that samples of G reach, and the share of the samples within 3 sigma of a centre.
    examples : array (m, 2)
        Examples of the data.
    half_width : float
        The axes are [-half_width, half_width].
    of : int
        The number of modes of the data.

    """

    label: str
    iterations: NDArray[Any]
    samples: NDArray[Any]
    d: NDArray[Any]
    modes: NDArray[Any]
    high_quality: NDArray[Any]
    examples: NDArray[Any]
    half_width: float
    of: int

    def at(self, iteration: int) -> int:
        """Return the number of the last frame at or before an iteration, or of the first one."""
        return max(0, int(np.searchsorted(self.iterations, iteration, side="right")) - 1)


def read_recording(run: PathLike, *, label: str | None = None) -> Recording:
    """Read the frames of a finished run of `ring8` or `grid25`.

    Parameters
    ----------
    run : path
        The run folder.
    label : str, optional
        The title of the run; by default its objective and what was added to it (`run_label`).

    Returns
    -------
    Recording
        The frames.

    Raises
    ------
    RunError
        If the folder is not a run, or of another recipe, or not finished; or if a file is damaged.

    """
    folder = Path(run)
    config = read_json(folder / "config.json")
    path = folder / FRAMES_FILE
    if not path.is_file():
        raise RunError(f"{run}: no {FRAMES_FILE}; expected a finished run of ring8 or grid25")
    stored = read_arrays(path)
    if set(stored) != set(FIELDS):
        raise RunError(f"{path}: it has {', '.join(sorted(stored)) or 'no arrays'}; expected {', '.join(FIELDS)}")
    shapes = {name: array.shape for name, array in stored.items()}
    count = len(stored["iterations"]) if stored["iterations"].ndim == 1 else 0
    wrong = (
        count == 0
        or any(shapes[name] != (count,) for name in ("modes", "high_quality"))
        or any(len(shapes[name]) != 3 or shapes[name][0] != count for name in ("samples", "d"))
        or shapes["samples"][2:] != (2,)
        or shapes["examples"][1:] != (2,)
        or any(shapes[name] != () for name in ("half_width", "of"))
        or any(array.dtype.kind not in "fiu" for array in stored.values())
    )
    if wrong:
        raise RunError(f"{path}: arrays of the shapes {shapes}; expected those of frames of a run")
    values: dict[str, Any] = {**stored, "half_width": float(stored["half_width"]), "of": int(stored["of"])}
    return Recording(label=run_label(config) if label is None else label, **values)


def run_label(config: Any) -> str:
    """Return the title of a run: its objective and what was added to it.

    Parameters
    ----------
    config : mapping
        The content of config.json.

    Returns
    -------
    str
        The title.

    Examples
    --------
    >>> run_label({"settings": {"objective": "relativistic", "pack": 1, "r1": 0.5, "r2": 0.0, "ema": 0.99}})
    'relativistic, R1'

    """
    settings = config.get("settings", {}) if isinstance(config, dict) else {}
    parts = [str(settings.get("objective", "run"))]
    parts += [f"packs of {settings['pack']}"] if settings.get("pack", 1) != 1 else []
    parts += [name for key, name in (("r1", "R1"), ("r2", "R2")) if settings.get(key)]
    return ", ".join(parts)


def mixture_frame(recordings: Sequence[Recording], iteration: int) -> Figure:
    """Draw runs at an iteration: samples over D's map, and below the modes over the iterations up to there.

    Parameters
    ----------
    recordings : sequence of Recording
        The runs, 1 to 6, a column each.
    iteration : int
        The iteration; of each run the last frame at or before it is shown.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    ValueError
        If there are no runs, or more than 6.

    """
    if not 1 <= len(recordings) <= MAX_COLUMNS:
        raise ValueError(f"recordings has {len(recordings)} runs; expected 1 to {MAX_COLUMNS}")
    columns = len(recordings)
    figure = Figure(figsize=(max(3.6, 2.6 * columns), 4.9 if columns == 1 else 4.3), layout="constrained")
    panels = figure.subplots(2, columns, height_ratios=[3, 1], squeeze=False)
    total = max(int(r.iterations[-1]) for r in recordings)
    for k, (recording, (top, bottom)) in enumerate(zip(recordings, panels.T, strict=True)):
        frame = recording.at(iteration)
        _samples(top, recording, frame)
        _modes(bottom, recording, frame, total)
        if k == 0:
            bottom.set_ylabel("modes")
    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=4, color=palette.DATA, label="data"),
        Line2D([], [], marker="o", linestyle="", markersize=4, color=palette.GENERATOR, label="samples of G"),
        Patch(color=palette.D, alpha=palette.SAMPLES_ALPHA, label="D(x), from 0 (white) to 1"),
    ]
    columns_of_legend = 2 if columns == 1 else 3  # in one line it is wider than one run
    figure.legend(handles=handles, loc="outside lower center", ncols=columns_of_legend, fontsize="small", frameon=False)
    return figure


def _samples(axes: Axes, recording: Recording, frame: int) -> None:
    w = recording.half_width
    axes.imshow(
        recording.d[frame] / 255.0, origin="lower", extent=(-w, w, -w, w), cmap=D_MAP, vmin=0, vmax=1,
        interpolation="bilinear", alpha=palette.SAMPLES_ALPHA,
    )  # fmt: skip
    for points, area, colour in (
        (recording.examples, 9, palette.DATA),
        (recording.samples[frame], 3, palette.GENERATOR),
    ):
        axes.scatter(points[:, 0], points[:, 1], s=area, linewidths=0, color=colour)
    axes.set_xlim(-w, w)
    axes.set_ylim(-w, w)
    axes.set_xticks([])
    axes.set_yticks([])
    quality = recording.high_quality[frame]
    counted = (
        f"{recording.modes[frame]:.0f} of {recording.of} modes, {quality:.0%} high quality"
        if np.isfinite(quality)
        else "samples that are not finite"
    )
    axes.set_title(f"{recording.label}\niteration {recording.iterations[frame]}\n{counted}", fontsize="small")


def _modes(axes: Axes, recording: Recording, frame: int, total: int) -> None:
    axes.axhline(recording.of, color=palette.REFERENCE, linestyle=":", linewidth=1)
    shown = slice(0, frame + 1)
    axes.plot(recording.iterations[shown], recording.modes[shown], color=palette.GENERATOR, linewidth=1.2)
    axes.set_xlim(0, max(1, total))
    axes.set_ylim(0, 1.1 * recording.of)
    axes.set_yticks([0, recording.of])
    axes.locator_params(axis="x", nbins=3)
    axes.set_xlabel("iteration", fontsize="small")
    axes.tick_params(labelsize="small")


def mixture_animation(
    runs: Sequence[PathLike], path: PathLike, *, labels: Sequence[str] | None = None, frames: int = 40
) -> Path:
    """Write an animation of finished runs of `ring8` or `grid25`, a column each.

    Collapse becomes visible: the samples of a GAN of 2014 visit a few modes and leave others out, beside runs that
    reach all of them.  An animation of a run is `samples.gif` in its folder.

    Parameters
    ----------
    runs : sequence of path
        The run folders, 1 to 6.
    path : path
        The GIF file; an existing one is replaced.
    labels : sequence of str, optional
        The titles of the runs; by default `run_label`.
    frames : int
        The most frames, at least 1; 40 by default, which keep three columns below 1.5 MB.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If there are no runs, more than 6, or another number of labels, or `frames` is not an int >= 1.
    RunError
        If a folder is not a finished run of such a recipe.

    """
    frames = size("frames", frames)
    if isinstance(runs, (str, Path)) or not 1 <= len(runs) <= MAX_COLUMNS:
        raise ValueError(f"runs is {runs!r}; expected a sequence of 1 to {MAX_COLUMNS} run folders")
    if labels is not None and len(labels) != len(runs):
        raise ValueError(f"labels has {len(labels)} titles for {len(runs)} runs; expected one each")
    titles = [None] * len(runs) if labels is None else list(labels)
    recordings = [read_recording(run, label=title) for run, title in zip(runs, titles, strict=True)]
    longest = max(recordings, key=lambda r: int(r.iterations[-1])).iterations
    chosen = np.unique(np.rint(np.linspace(0, len(longest) - 1, min(frames, len(longest)))).astype(int))
    if frames == 1:
        chosen = np.array([len(longest) - 1])
    pictures = (rasterise(mixture_frame(recordings, int(longest[k]))) for k in chosen)
    return save_gif(pictures, path)
