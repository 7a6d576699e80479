"""One network used by many threads at once and by a forked child; channels without variance."""

import os
import signal
import threading

import numpy as np
import pytest
from cases import ENGINES, ON_EACH_BACKEND

import minigan as mg


def small(ops="cpu"):
    layers = [
        mg.Conv2D(2, 5, 3, padding="same"), mg.BatchNorm(5), mg.ReLU(), mg.MaxPool2D(2), mg.Flatten(), mg.Dense(80, 3),
    ]  # fmt: skip
    return mg.Network(layers, rng=np.random.default_rng(0), ops=ops)


def both_ways(net, x):
    y, backward = net.forward(x, train=False)
    grads = net.zeros_like_theta()
    dx = backward(np.cos(y), grads)
    return y, grads, dx


@pytest.mark.parametrize("ops", ["reference", *ENGINES.values()], ids=["reference", *ENGINES])
def test_eight_threads_on_one_network(ops):
    net, rng = small(ops), np.random.default_rng(1)
    inputs = [rng.standard_normal((16, 8, 8, 2)).astype("f4") for _ in range(8)]
    alone = [both_ways(net, x) for x in inputs]
    together, started = [[] for _ in inputs], threading.Barrier(8)

    def work(k):
        started.wait()
        together[k] = [both_ways(net, inputs[k]) for _ in range(10)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for want, found in zip(alone, together, strict=True):
        assert len(found) == 10
        for got in found:
            for a, b in zip(got, want, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_forked_while_a_thread_computes_computes_the_same():
    net, x = small(), np.random.default_rng(1).standard_normal((64, 8, 8, 2)).astype("f4")
    want, stop = net(x), threading.Event()

    def work():
        while not stop.is_set():
            net(x)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                signal.alarm(30)
                close = np.allclose(net(x), want, rtol=1e-5, atol=1e-5)
                os._exit(0 if close else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        thread.join()


@ON_EACH_BACKEND
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_constant_channels_of_a_batch_are_beta_and_finite(ops, dtype):
    """Their variance is 0: y = beta, and dx is dy minus its mean, divided by sqrt(eps)."""
    net = mg.Network([mg.BatchNorm(3)], rng=np.random.default_rng(0), ops=ops, dtype=dtype)
    x = np.tile(np.array([0.0, 1.0, -7.25], dtype), (6, 4, 5, 1))
    y, backward = net.forward(x, train=True, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(y, 0)
    dy = np.random.default_rng(1).standard_normal(x.shape).astype(dtype)
    dx = backward(dy, net.zeros_like_theta())
    eps = net.layers[0].eps
    want = (dy - dy.mean(axis=(0, 1, 2), dtype="f8")) / np.sqrt(eps)
    np.testing.assert_allclose(dx, want, atol=2e-6 * np.abs(want).max())
