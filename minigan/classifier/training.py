"""Train the classifier."""

import math
import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan._deprecated import renamed_arguments
from minigan.classifier.network import Classifier, Config, Floats, Log, require_images, unit, untrained
from minigan.cross_entropy import softmax_cross_entropy
from minigan.data import EpochBatches, Images
from minigan.optimizers import Adam


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
        require_images(images.images, config)
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


def mirrored(x: Floats, rng: np.random.Generator) -> Floats:
    """Return x (N, H, W, C) with each image mirrored left to right with probability 1/2."""
    chosen = rng.random(len(x)) < 0.5
    return np.where(chosen[:, None, None, None], x[:, :, ::-1], x)
