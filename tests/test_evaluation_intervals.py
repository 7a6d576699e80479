"""Evaluation: density, coverage, KID and sliced Wasserstein with intervals, memorisation, the Parzen protocol."""

import json

import numpy as np
import pytest
from command import run

from minigan import classifier
from minigan._names import ConfigError
from minigan.classifier import Config
from minigan.data import Images, load
from minigan.diagnosis import KINDS
from minigan.evaluation import Reference, match_blur, memorisation, mnist_parzen, splits
from minigan.evaluation.parzen import fits
from minigan.metrics import nearest, parzen, share_of
from minigan.runs import train_recipe
from minigan.training import read_json

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

ESTIMATES = ("density", "coverage", "kid", "sliced_wasserstein")


@pytest.fixture(scope="module")
def digits():
    return splits("digits")


@pytest.fixture(scope="module")
def trained(digits):
    train, test = digits
    return classifier.train_classifier(train, test, config=Config(epochs=1, batch_size=50))


def test_the_estimates_tell_noise_and_a_single_class_from_real_images(trained, digits):
    train, test = digits
    n = 200
    examples, real = match_blur(train.images, 28), match_blur(test.images, 28)[:n]
    reference = Reference(trained, examples, n)
    control = reference.row("real", real)
    noise = reference.row("noise", np.random.default_rng(0).random((n, 28, 28, 1), dtype=np.float32))
    ones = reference.row("ones", examples[train.labels == 1][np.arange(n) % 100])
    assert control.density.value == pytest.approx(1, abs=0.3)
    assert control.coverage.value > 0.8
    for bad in (noise, ones):
        assert bad.coverage.high < control.coverage.low
        assert bad.kid.low > control.kid.high
        assert bad.sliced_wasserstein.low > control.sliced_wasserstein.high
    assert noise.density.value < 0.2
    for row in (control, noise, ones):
        for name in ESTIMATES:
            e = getattr(row, name)
            assert e.low <= e.value <= e.high
            assert row.as_dict()[name] == {"value": e.value, "low": e.low, "high": e.high}
        line = row.intervals(n)
        assert line.startswith(row.name)
        assert f"{row.density.value:.3f} [{row.density.low:.3f}, {row.density.high:.3f}]" in line
    low, high = share_of(np.arange(n) < n * control.precision)[1:]
    assert f"{control.precision:.3f} [{low:.3f}, {high:.3f}]" in control.intervals(n)


def test_the_command_prints_and_stores_them(in_tmp, capsys, monkeypatch):
    monkeypatch.setitem(classifier.CLASSIFIERS, "digits", Config(epochs=1, batch_size=150))
    train_recipe("mnist-dense", overrides={"data": "digits", "iterations": 1}, out="run")
    capsys.readouterr()
    status, out, _err = run(capsys, "evaluate", "run", "--n", "4")  # as few as there may be
    assert status == 0
    assert "95 % intervals" in out
    assert "of the samples [0.00%, 48.99%]" in out
    assert "Parzen" not in out
    stored = read_json("run/evaluation.json")
    assert stored["parzen"] == {}
    assert stored["memorisation"]["found"] is False
    assert [set(row["kid"]) for row in stored["rows"]] == [{"value", "low", "high"}] * 2
    assert json.dumps(stored)


class TestMemorisation:
    def test_copies_among_real_digits_are_found_and_real_digits_are_none(self, digits):
        train, test = digits
        examples, real = match_blur(train.images, 28), match_blur(test.images, 28)
        _, baseline = nearest(real, examples)
        rng = np.random.default_rng(0)
        mixed = np.concatenate([examples[:20] + rng.normal(0, 0.01, (20, 28, 28, 1)).astype("f4"), real[20:]])
        _, copied = nearest(mixed, examples)
        found = memorisation(baseline, copied)
        assert found.found
        assert found.samples.value == pytest.approx(20 / 299, abs=0.01)
        text = str(found)
        for part in ("memorisation: ", KINDS["memorisation"].meaning, *KINDS["memorisation"].advice):
            assert part in text
        assert found.as_dict()["try"] == list(KINDS["memorisation"].advice)
        healthy = memorisation(baseline, baseline)
        assert not healthy.found
        assert "memorisation" not in str(healthy)
        assert "try" not in healthy.as_dict()

    def test_smooth_images_are_no_copies(self, digits):
        """The mean of each image and its neighbour, and a grey image, are nearer than real ones, but no copies."""
        train, test = digits
        examples, real = match_blur(train.images, 28), match_blur(test.images, 28)
        index, baseline = nearest(real, examples)
        _, smooth = nearest((real + examples[index]) / 2, examples)
        assert np.median(smooth) < np.median(baseline)
        assert not memorisation(baseline, smooth).found
        _, grey = nearest(np.broadcast_to(examples.mean(axis=0), (100, 28, 28, 1)), examples)
        assert not memorisation(baseline, grey).found

    def test_a_few_copies_are_not_enough(self):
        real = np.full(10_000, 5.0)
        assert not memorisation(real, np.where(np.arange(10_000) < 100, 0.0, real)).found
        assert memorisation(real, np.where(np.arange(10_000) < 130, 0.0, real)).found


class TestParzen:
    @pytest.fixture
    def mnist(self):
        rng = np.random.default_rng(0)

        def images(n):
            x = np.zeros((n, 28, 28, 1), np.uint8)
            x[:, 9:19, 9:19] = rng.integers(0, 256, (n, 10, 10, 1))
            return Images("mnist", x, np.zeros(n, np.uint8))

        return images(51_000), images(20)

    def test_the_protocol(self, mnist):
        train, test = mnist
        samples = train.images[:10_000]
        found = mnist_parzen(samples, train=train, test=test)
        flat = [(a / 255).astype("f4").reshape(len(a), -1) for a in (samples, train.images[50_000:51_000], test.images)]
        want = parzen(*flat)
        assert found.sigma == want.sigma
        assert found.log_likelihood == pytest.approx(want.log_likelihood)
        as_vectors = mnist_parzen((samples / 255).reshape(10_000, 784), train=train, test=test)
        assert as_vectors.log_likelihood == pytest.approx(want.log_likelihood, rel=1e-6)

    def test_what_does_not_fit(self, mnist):
        train, test = mnist
        assert fits("mnist", (28, 28, 1), 10_000)
        for other in (("digits", (28, 28, 1), 10_000), ("mnist", (64, 64, 3), 10_000), ("mnist", (28, 28, 1), 9_999)):
            assert not fits(*other)
        with pytest.raises(ConfigError, match=r"images has shape \(9, 28, 28, 1\)"):
            mnist_parzen(train.images[:9], train=train, test=test)
        with pytest.raises(ConfigError, match="train has 20 images; expected at least 51000"):
            mnist_parzen(train.images[:10_000], train=test, test=test)


def test_the_published_control(data_dir):
    """Real training images in place of samples: 242 +- 2 nats."""
    train = load("mnist", "train", data_dir=data_dir)
    found = mnist_parzen(train.images[:10_000], data_dir=data_dir)
    assert found.log_likelihood.value == pytest.approx(242, abs=3)
    assert found.standard_error == pytest.approx(2.1, abs=0.1)
    assert found.sigma == pytest.approx(0.1668, abs=1e-4)
