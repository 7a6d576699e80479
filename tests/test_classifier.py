"""The classifier learns digits, survives a round trip through its file, and reports what is wrong with a file."""

import json
import math
import re
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from minigan import classifier, evaluation
from minigan.classifier import Config, read_classifier, train_classifier, untrained, write_classifier
from minigan.data import Images
from minigan.layers import ShapeError
from minigan.training import RunError, read_arrays, write_arrays


def drawn(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 28, 28, 1)).astype(np.uint8)


@pytest.fixture
def small():
    return untrained(Config(epochs=2, dropout=0.25), np.random.default_rng(1))


@pytest.fixture(scope="module")
def digits():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    return evaluation.splits("digits")


def test_it_learns_the_digits(digits):
    train, test = digits
    told = []
    net = train_classifier(train, test, config=Config(epochs=4, batch_size=32), log=told.append)
    assert net.accuracy >= 0.96
    assert net.data == "digits"
    assert net.seconds > 0
    assert [line.split(",")[0] for line in told] == [f"classifier of digits: epoch {k} of 4" for k in (1, 2, 3, 4)]
    costs = [float(re.search(r"cost ([\d.]+)", line)[1]) for line in told]
    assert costs[0] > costs[1] > costs[3]
    features, p = net.predict(test.images)
    assert (p.argmax(axis=1) == test.labels).mean() == net.accuracy == net.accuracy_on(test.images, test.labels)
    assert features.shape == (len(test), classifier.FEATURES)


def test_same_seed_same_classifier(digits):
    train, test = (Images(d.name, d.images[:60], d.labels[:60]) for d in digits)
    one, two, other = (
        train_classifier(train, test, config=Config(epochs=2, batch_size=20, seed=seed)) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one.body.theta, two.body.theta)
    np.testing.assert_array_equal(one.head.theta, two.head.theta)
    assert (one.head.theta != other.head.theta).any()


def test_sizes(small):
    assert small.body.theta.size == 416 + 12_832 + 200_832
    assert small.head.theta.size == 1_290
    assert small.body.dtype == small.head.dtype == np.float32


def test_images_in_colour_and_mirrored():
    config = Config(side=8, colours=3, channels=2, epochs=1, batch_size=4, mirrored=True)
    net = untrained(config, np.random.default_rng(0))
    assert net.body.theta.size == (75 * 2 + 2) + (50 * 4 + 4) + (16 * 128 + 128)
    x = np.random.default_rng(1).integers(0, 256, (8, 8, 8, 3)).astype(np.uint8)
    features, p = net.predict(x)
    assert (features.shape, p.shape) == ((8, 128), (8, 10))
    with pytest.raises(ShapeError, match=r"images have shape \(2, 28, 28, 1\); expected \(N, 8, 8, 3\)"):
        net.predict(drawn(2))
    seen = []
    step = classifier.training._step

    def watched(net, adams, x, labels, rng):
        seen.append((x, labels))
        return step(net, adams, x, labels, rng)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier.training, "_step", watched)
        images = Images("a", x, np.arange(8, dtype=np.uint8))
        train_classifier(images, images, config=config)
    turned = []
    for batch, labels in seen:
        for image, label in zip(batch, labels, strict=True):
            plain = classifier.unit(x[label])
            turned.append(not np.array_equal(image, plain))
            np.testing.assert_array_equal(image, plain[:, ::-1] if turned[-1] else plain)
    assert len(turned) == 8
    assert 0 < sum(turned) < 8


def test_judging(small, monkeypatch):
    """Bytes mean x / 255, features are taken before dropout, and the block size does not matter."""
    x = drawn(9)
    features, p = small.predict(x)
    again = small.predict((x / 255).astype(np.float32))
    np.testing.assert_array_equal(features, again[0])
    np.testing.assert_array_equal(p, again[1])
    assert features.dtype == p.dtype == np.float64
    assert (features >= 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-14)
    s = small.head(small.body(classifier.unit(x))).astype(float)
    np.testing.assert_allclose(np.log(p) - np.log(p[:, :1]), s - s[:, :1], atol=1e-12)
    monkeypatch.setattr(classifier.network, "IMAGES_PER_BLOCK", 4)
    for got, want in zip(small.predict(x), (features, p), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_the_file_gives_it_back(small, tmp_path):
    net = replace(small, data="mnist", accuracy=0.9912, seconds=12.5)
    path = write_classifier(tmp_path / "mnist.npz", net)
    back = read_classifier(path)
    assert back.about() == net.about()
    assert (back.config, back.data, back.accuracy, back.seconds) == (net.config, "mnist", 0.9912, 12.5)
    for got, want in zip(back.predict(drawn(5)), net.predict(drawn(5)), strict=True):
        np.testing.assert_array_equal(got, want)
    with zipfile.ZipFile(path) as stored:  # plain arrays: no pickle among them
        for name in stored.namelist():
            header = stored.read(name)[:200]
            assert header.startswith(b"\x93NUMPY")
            assert b"'|O'" not in header


def about_without(key):
    def change(arrays):
        about = json.loads(str(arrays["about"]))
        del about[key]
        arrays["about"] = np.array(json.dumps(about))

    return change


def other_layers(arrays):
    arrays["about"] = np.array(str(arrays["about"]).replace('"pool_size": [2, 2]', '"pool_size": [2, 3]', 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("about"), "'about'"),
        (lambda arrays: arrays.update(about=np.array("{")), "Expecting property name"),
        (about_without("config"), "not a JSON object with a configuration"),
        (about_without("accuracy"), "'accuracy'"),
        (other_layers, "its layers are not those of this version"),
        (lambda arrays: arrays.pop("body.0.W"), "0.W"),
        (lambda arrays: arrays.update({"head.1.b": np.zeros(9, np.float32)}), "1.b"),
    ],
)
def test_a_changed_file_is_refused(small, tmp_path, change, message):
    path = write_classifier(tmp_path / "mnist.npz", small)
    arrays = read_arrays(path)
    change(arrays)
    write_arrays(path, arrays)
    with pytest.raises(RunError, match=message) as refused:
        read_classifier(path)
    assert str(path) in str(refused.value)


def test_a_damaged_or_missing_file_is_refused(small, tmp_path):
    path = write_classifier(tmp_path / "mnist.npz", small)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(RunError, match="mnist.npz: not a whole .npz file"):
        read_classifier(path)
    with pytest.raises(RunError, match="No such file"):
        read_classifier(tmp_path / "other.npz")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda net: net.predict(np.zeros((2, 64, 64, 3))),
            r"images have shape \(2, 64, 64, 3\); expected \(N, 28",
        ),
        (lambda net: net.predict(drawn(0)), r"images have shape \(0, 28, 28, 1\)"),
        (lambda net: Config(epochs=0), "epochs must be an int >= 1, got 0"),
        (lambda net: Config(side=30), "side must be a multiple of 4, got 30"),
        (lambda net: Config(lr=0.0), "lr must be > 0, got 0.0"),
        (lambda net: Config(dropout=1.0), r"dropout must be in \[0, 1\), got 1.0"),
        (
            lambda net: train_classifier(*[Images("a", drawn(5), np.zeros(5, np.uint8))] * 2, config=Config()),
            "batch_size must be in 1 ... 5",
        ),
        (
            lambda net: train_classifier(
                *[Images("a", drawn(5), np.full(5, 10, np.uint8))] * 2, config=Config(batch_size=5)
            ),
            "labels lie in 10 ... 10; expected 0 ... 9",
        ),
    ],
)
def test_errors(small, call, message):
    with pytest.raises((ShapeError, ValueError), match=message):
        call(small)


@pytest.mark.torch
def test_ten_steps_beside_pytorch(small):
    """Cost and all parameters in float64, with the same masks and the decaying learning rate."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (make test-torch installs it)")
    from torch_twin import Twin

    from minigan.optimizers import Adam

    net = replace(small, body=small.body.astype("float64"), head=small.head.astype("float64"))
    x, labels = (drawn(7) / 255).astype(np.float32), np.arange(7, dtype=np.uint8)
    body, head = (Twin(part, lr=0.0) for part in (net.body, net.head))
    adams = [Adam(part, lr=lambda t: 1e-3 / t) for part in (net.body, net.head)]
    ours, theirs = np.random.default_rng(5), np.random.default_rng(5)
    for t in range(1, 11):
        h = body(torch.tensor(x, dtype=torch.float64), train=True)
        s = head(h, train=True, rng=theirs)
        cost = torch.nn.functional.cross_entropy(s, torch.tensor(labels, dtype=torch.int64))
        for twin in (body, head):
            twin.optimizer.param_groups[0]["lr"] = 1e-3 / t
            twin.optimizer.zero_grad()
        cost.backward()
        for twin in (body, head):
            twin.optimizer.step()
        assert classifier.training._step(net, adams, x, labels, ours) == pytest.approx(cost.item(), rel=1e-10)
    for part, twin in ((net.body, body), (net.head, head)):
        np.testing.assert_allclose(part.theta, twin.theta(), rtol=0, atol=1e-9)
    assert math.isfinite(cost.item())
