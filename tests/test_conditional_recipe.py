"""`mnist-conditional`: its draws, labels in runs, samples of a class, and how many of them a classifier reads."""

import signal
import subprocess
import sys
import warnings
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from command import run
from test_resume import everything, files

from minigan import data
from minigan._names import ConfigError
from minigan.classifier import Config, untrained, write_classifier
from minigan.evaluation import evaluate
from minigan.ops import get_ops
from minigan.ops.cuda.capture.iterations import CaptureWarning
from minigan.recipes import RunOptions, get_recipe
from minigan.recipes.labels import generate, label_accuracy, sample_labels
from minigan.runs import load_generator, sample
from minigan.training import read_json, resume, train

TINY = {
    "iterations": 5, "batch_size": 6, "latent": 3, "embedding": 2, "channels": 2, "features": 4, "sample_every": 2,
    "label_samples": 30,
}  # fmt: skip
RECIPE = get_recipe("mnist-conditional")


def labelled():
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (60, 28, 28, 1)), rng.integers(0, 10, 60)
    return data.Images("mnist", images.astype(np.uint8), labels.astype(np.uint8))


@pytest.fixture
def mnist(monkeypatch):
    """Sixty random images with random labels that recipes and `evaluate` load as MNIST."""
    for place in ("minigan.recipes.images.load", "minigan.evaluation.images.load"):
        monkeypatch.setattr(place, lambda name, split="train", data_dir=None: labelled())


def build(*, ops="cpu", dtype="float32", options=None, **settings):
    config = RECIPE.configure(TINY | settings)
    return RECIPE.build(config, RunOptions(seed=3, ops=ops, dtype=dtype, options=options or {}))


@pytest.fixture
def folder(in_tmp, mnist):
    train(build(), folder="run")
    return Path("run")


def classifier(digit):
    """A classifier of MNIST that reads one digit in every image."""
    net = replace(untrained(Config(), np.random.default_rng(0)), data="mnist")
    W, b = (net.head.parameters()[name] for name in ("1.W", "1.b"))
    W[...], b[...] = 0, np.arange(10) == digit
    return net


# --- training -------------------------------------------------------------------------------------


def test_real_images_keep_their_labels_and_fakes_get_all_classes(mnist, monkeypatch):
    experiment, real, fakes = build(batch_size=50), [], []
    update_D, update_G = experiment.gan.update_D, experiment.gan.update_G

    def seen_by_D(x, fake):
        real.append(x)
        fakes.append(fake[1])
        return update_D(x, fake)

    def seen_by_G(z):
        fakes.append(z[1])
        return update_G(z)

    monkeypatch.setattr(experiment.gan, "update_D", seen_by_D)
    monkeypatch.setattr(experiment.gan, "update_G", seen_by_G)
    for _ in range(8):
        experiment.play()
    known = {image.tobytes(): label for image, label in zip(labelled().images, labelled().labels, strict=True)}
    for x, labels in real:
        pixels = np.rint(x * 255).astype(np.uint8)
        assert [known[image.tobytes()] for image in pixels] == labels.tolist()
    counts = np.bincount(np.concatenate(fakes), minlength=10)
    assert len(counts) == 10
    assert counts.min() > 40  # of 800 / 10


def test_labels_come_from_the_noise_stream(mnist):
    one, other = build(), build()
    other.streams["noise"].standard_normal()
    for experiment in (one, other):
        experiment.play()
    assert one.streams["noise"].bit_generator.state != other.streams["noise"].bit_generator.state
    same = build()
    same.play()
    assert everything(same) == everything(one)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_same_bits_for_any_number_of_threads(mnist, threads):
    found = []
    for options in ({"threads": 2}, {"threads": threads}):
        experiment = build(options=options, channels=8, batch_size=32, latent=64, features=64)
        for _ in range(3):
            experiment.play()
        found.append(everything(experiment))
    assert found[0] == found[1]


def test_graphs_of_cuda_read_the_labels_of_their_own_iteration(mnist):
    """A captured run is the run that is not captured, bit for bit."""
    try:
        get_ops("cuda", device="emulated")
    except ValueError as error:
        pytest.skip(str(error))
    found = []
    for graphs in (True, False):
        experiment = build(ops="cuda", options={"device": "emulated", "graphs": graphs})
        with warnings.catch_warnings():
            warnings.simplefilter("error", CaptureWarning)
            for _ in range(4):
                experiment.play()
        found.append([net.theta.get().tobytes() for net in (experiment.gan.G, experiment.gan.D)])
    assert found[0] == found[1]


KILLED = """
import os, signal
from test_conditional_recipe import build, labelled
from test_resume import Dies
import minigan.recipes.images
from minigan.training import train

minigan.recipes.images.load = lambda name, split, data_dir=None: labelled()
train(build(), folder="killed", callbacks=[Dies(4, lambda: os.kill(os.getpid(), signal.SIGKILL))], checkpoint_every=2)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_run_resumes_with_the_same_labels(in_tmp, mnist):
    train(build(), folder="whole")
    here = Path(__file__).parent
    killed = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = [{str(here)!r}, {str(here.parent)!r}]\n{KILLED}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = build()
    assert resume(again, "killed")["resumed"] == [{"iteration": 2, "checkpoint": "000002.checkpoint"}]
    assert files("killed") == files("whole")


def test_own_images_need_labels_of_ten_classes(in_tmp):
    images = labelled().images
    with pytest.raises(ConfigError, match="images without labels: a conditional recipe needs labels"):
        RECIPE.build(RECIPE.configure(TINY), RunOptions(images=images))
    with pytest.raises(ConfigError, match=r"labels must be in 0 \.\.\. 9, got 10"):
        RECIPE.build(RECIPE.configure(TINY), RunOptions(images=images, labels=np.full(60, 10)))
    experiment = RECIPE.build(RECIPE.configure(TINY), RunOptions(images=images, labels=labelled().labels))
    assert "label_accuracy" not in train(experiment, folder="own")


@pytest.mark.parametrize(
    ("labels", "given"),
    [
        (np.zeros(59, int), r"int64 of shape \(59,\)"),
        (np.zeros(60), r"float64 of shape \(60,\)"),
        (-np.ones(60, int), r"int64 of shape \(60,\)"),
        ([0] * 60, "list"),
    ],
)
def test_labels_that_do_not_fit_own_images(labels, given):
    expected = r"expected whole numbers >= 0 of shape \(60,\)"
    with pytest.raises(ConfigError, match=f"labels: got {given}; {expected}"):
        RunOptions(images=labelled().images, labels=labels)
    with pytest.raises(ConfigError, match="labels without images"):
        RunOptions(labels=np.zeros(60, int))


@pytest.mark.parametrize(
    ("setting", "value"), [("embedding", 0), ("channels", 0), ("features", 0), ("label_samples", -1), ("lr_G", 0.0)]
)
def test_settings_outside_their_range(setting, value):
    with pytest.raises(ConfigError, match=f"{setting} must be"):
        RECIPE.configure({setting: value})


def test_the_sheet_has_a_row_for_each_class(mnist, in_tmp):
    (samples,) = build().figures
    z, labels = samples.z
    assert z.shape == (100, 3)
    assert samples.sheet == (10, 10)
    np.testing.assert_array_equal(labels.reshape(10, 10), np.arange(10)[:, None] * np.ones(10))
    train(build(), folder="run")
    assert {"samples.png", "samples.gif", "neighbours.png", "losses.png"} <= {
        path.name for path in Path("run").iterdir()
    }


# --- samples --------------------------------------------------------------------------------------


def test_samples_of_a_class(folder):
    G, recipe, config = load_generator(folder)
    z = recipe.prior(config, 12, np.random.default_rng(5)).astype("float32")
    x = sample(folder, n=12, seed=5, label=7)
    np.testing.assert_array_equal(x, G((z, np.full(12, 7))))
    np.testing.assert_array_equal(sample(folder, n=12, seed=5)[[7]], x[[7]])
    mixed = sample(folder, n=12, seed=5)
    np.testing.assert_array_equal(mixed, G((z, np.arange(12) % 10)))
    assert not np.array_equal(mixed, x)


def test_samples_in_blocks(folder, monkeypatch):
    whole = sample(folder, n=20)
    monkeypatch.setattr("minigan.recipes.labels.SAMPLES_PER_BLOCK", 7)
    np.testing.assert_allclose(sample(folder, n=20), whole, rtol=1e-6)


def test_the_command(folder, capsys):
    assert run(capsys, "sample", "run", "--label", "7", "--n", "12", "--out", "seven.npy")[0] == 0
    np.testing.assert_array_equal(np.load("seven.npy"), sample(folder, n=12, label=7))
    status, _, err = run(capsys, "sample", "run", "--label", "12")
    assert status == 2
    assert err == "minigan sample: label must be an int in 0 ... 9 (the classes of mnist-conditional), got 12\n"
    assert "--label K" in run(capsys, "sample", "--help")[1]
    status, _, err = run(capsys, "sample", "run", "--label", "x")
    assert status == 2
    assert "'x' given; expected a whole number >= 0" in err


def test_a_label_for_a_generator_without_classes(in_tmp, capsys):
    run(capsys, "train", "gaussian", "--set", "frames=2", "--iterations", "2", "--out", "run")
    status, _, err = run(capsys, "sample", "run", "--label", "7")
    assert status == 2
    assert err == "minigan sample: label=7: the generator of gaussian reads no labels; expected a conditional recipe\n"


@pytest.mark.parametrize("label", [-1, 10, 2.0, True, "7"])
def test_labels_that_are_no_class(label):
    with pytest.raises(ConfigError, match=r"label must be an int in 0 \.\.\. 9 \(the classes of digits\), got"):
        sample_labels("digits", 10, 3, label)


# --- the classifier reads the requested class -----------------------------------------------------


def test_the_accuracy_is_the_share_of_samples_with_their_label(in_tmp, mnist):
    G = build().gan.G
    z = np.zeros((25, 3), "float32")
    assert label_accuracy(G, z, np.asarray, classes=10, data="mnist") == {}  # there is no classifier
    folder = data.cache_folder() / "classifiers"
    folder.mkdir(parents=True)
    for digit, share in ((3, 3 / 25), (7, 2 / 25)):  # labels 0 ... 9, 0 ... 9, 0 ... 4
        write_classifier(folder / "mnist.npz", classifier(digit))
        found = label_accuracy(G, z, np.asarray, classes=10, data="mnist")
        assert found == {"label_accuracy": share, "label_samples": 25}
    assert label_accuracy(G, z[:0], np.asarray, classes=10, data="mnist") == {}
    other = replace(classifier(3), data="fashion-mnist")
    for damage in (lambda path: path.write_bytes(b"damaged"), lambda path: write_classifier(path, other)):
        damage(folder / "mnist.npz")
        with pytest.warns(RuntimeWarning, match="label_accuracy is left out: .*mnist.npz"):
            assert label_accuracy(G, z, np.asarray, classes=10, data="mnist") == {}


def test_the_summary_and_the_evaluation_have_it(in_tmp, mnist, capsys):
    folder = data.cache_folder() / "classifiers"
    folder.mkdir(parents=True)
    write_classifier(folder / "mnist.npz", classifier(3))
    summary = train(build(), folder="run")
    assert (summary["label_accuracy"], summary["label_samples"]) == (0.1, 30)
    assert read_json("run/summary.json")["label_accuracy"] == 0.1
    found = evaluate("run", n=20)
    assert found.label_accuracy == 0.1
    assert found.as_dict()["label_accuracy"] == 0.1
    assert "requested class read in 10.00% of samples" in str(found)


def test_generate_is_the_network():
    G = RECIPE.networks(RECIPE.configure(TINY))[0]
    z, k = np.random.default_rng(0).standard_normal((5, 3)).astype("float32"), np.array([0, 9, 3, 3, 1])
    np.testing.assert_array_equal(generate(G, z, k), G((z, k)))


def test_the_configuration_is_written(folder):
    stored = read_json("run/config.json")
    assert stored["settings"] == asdict(RECIPE.configure(TINY))
