"""NaN never becomes a valid or a good result."""

import math
import re

import numpy as np
import pytest

import minigan as mg
from minigan.data import downsample, resize
from minigan.plots import image_grid
from minigan.runs import Sweep
from minigan.training import EarlyStop

NAN = math.nan


class Run:
    stop_reason = None

    def __init__(self, **metrics):
        self.metrics = metrics


@pytest.mark.parametrize("value", [NAN, math.inf])
def test_early_stop_says_that_a_metric_was_never_a_number(value):
    hook, run = EarlyStop("seen", patience=2), Run(seen=value)
    for _ in range(2):
        hook.on_iteration(run)
    assert run.stop_reason == f"seen was not a finite number in 2 measurements, the last {value}"
    assert hook.best == math.inf


def test_early_stop_does_not_take_minus_infinity_for_the_best():
    hook = EarlyStop("seen", patience=2)
    for value in (-math.inf, 2.0, 1.0):
        hook.on_iteration(Run(seen=value))
    assert (hook.best, hook.waited) == (1.0, 0)


@pytest.mark.parametrize("bad", [NAN, math.inf, -math.inf])
def test_image_grid_refuses_what_is_no_grey_level(bad):
    images = np.full((4, 3, 3, 1), 0.5)
    images[2, 1, 1, 0] = bad
    with pytest.raises(ValueError, match=re.escape("images[2] has numbers that are not finite; expected finite")):
        image_grid(images, rows=2, columns=2)


@pytest.mark.parametrize("function", [resize, downsample])
def test_resized_images_keep_nan(function):
    assert np.isnan(function(np.full((1, 4, 4, 1), NAN, "f4"), 4)).all()


@pytest.mark.parametrize("layer", [mg.ReLU(), mg.LeakyReLU(0.2), mg.MaxPool2D(2)])
@pytest.mark.parametrize("ops", ["reference", "cpu"])
def test_layers_keep_nan(layer, ops):
    net = mg.Network([layer], rng=np.random.default_rng(0), ops=ops)
    x = np.full((3, 4, 4, 2), NAN, "f4")
    assert np.isnan(net.forward(x, train=False)[0]).all()


def test_the_table_of_a_sweep_shows_nan():
    summaries = [{"seed": seed, "status": "completed", "jsd": value} for seed, value in enumerate((1.0, NAN))]
    table = Sweep(recipe="gaussian", summaries=summaries, seeds=2, config={}).table()
    assert all(math.isnan(value) for row in table.values() for value in row.values())
    assert table
