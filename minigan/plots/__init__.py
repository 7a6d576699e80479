"""Figures and pictures: functions that return a matplotlib Figure or a Pillow image, and functions that write them."""

from minigan.plots.curves import judgement_histograms, loss_curves
from minigan.plots.gaussian import Snapshot, figure_1, training_frame
from minigan.plots.images import NEAREST, image_grid, neighbour_grid
from minigan.plots.mixtures import (
    FRAMES_FILE,
    Recording,
    mixture_animation,
    mixture_frame,
    read_recording,
    run_label,
)
from minigan.plots.modes import mode_curves
from minigan.plots.translations import cost_curves, point_translations
from minigan.plots.write import read_picture, save, save_gif, save_picture

__all__ = [
    "FRAMES_FILE",
    "NEAREST",
    "Recording",
    "Snapshot",
    "cost_curves",
    "figure_1",
    "image_grid",
    "judgement_histograms",
    "loss_curves",
    "mixture_animation",
    "mixture_frame",
    "mode_curves",
    "neighbour_grid",
    "point_translations",
    "read_picture",
    "read_recording",
    "run_label",
    "save",
    "save_gif",
    "save_picture",
    "training_frame",
]
