"""`minigan evaluate`: the baseline row, what each number detects, the files, and errors."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from command import run

from minigan import classifier
from minigan._names import ConfigError
from minigan.classifier import Config, untrained, write_classifier
from minigan.data import Images, load, resize
from minigan.evaluation import Reference, evaluate, match_blur, splits, spread, to_classifier_size, write_evaluation
from minigan.metrics import nearest
from minigan.runs import load_generator, sample, train_recipe
from minigan.training import RunError, read_arrays, read_json, write_arrays, write_json

pytest.importorskip("sklearn", reason="scikit-learn is not installed")


@pytest.fixture(scope="module")
def digits():
    return splits("digits")


@pytest.fixture(scope="module")
def trained(digits):
    """A classifier after a short training."""
    train, test = digits
    return classifier.train_classifier(train, test, config=Config(epochs=1, batch_size=50))


@pytest.fixture
def kept(trained, tmp_path):
    """A folder that contains this classifier."""
    folder = tmp_path / "kept"
    folder.mkdir()
    write_classifier(folder / "digits.npz", trained)
    return folder


@pytest.fixture
def coloured(monkeypatch):
    """A small CIFAR-10: 60 images of 10 classes, each with its colour."""

    def loaded(name, split="train", *, data_dir=None):
        if name != "cifar10":
            return load(name, split, data_dir=data_dir)
        rng, labels = np.random.default_rng(split == "test"), np.arange(60) % 10
        shades = np.stack([25 * labels, 255 - 25 * labels, 100 + 0 * labels], axis=1)[:, None, None]
        images = np.clip(shades + rng.normal(0, 5, (60, 32, 32, 3)), 0, 255).astype(np.uint8)
        note = "60 of 50,000 images: data_batch_1.bin" if split == "train" else ""
        return Images(name, images, labels.astype(np.uint8), note)

    for place in ("minigan.evaluation.images.load", "minigan.recipes.images.load"):
        monkeypatch.setattr(place, loaded)


@pytest.fixture
def dense(in_tmp):
    train_recipe("mnist-dense", overrides={"data": "digits", "iterations": 1}, out="run")
    return "run"


# --- the command ------------------------------------------------------------------------------------


def test_the_command_trains_a_classifier_once_and_writes_a_table(dense, in_tmp, capsys, monkeypatch):
    monkeypatch.setitem(classifier.CLASSIFIERS, "digits", Config(epochs=1, batch_size=150))
    status, out, err = run(capsys, "evaluate", dense, "--n", "40", "--seed", "3")
    assert status == 0
    assert "run (mnist-dense): 40 samples, noise seed 3" in out
    lines = out.splitlines()
    head = next(k for k, line in enumerate(lines) if "Frechet distance" in line)
    assert "classifier" in lines[head - 1]
    assert lines[head + 1].startswith("real test images")  # the baseline, always first
    assert lines[head + 2].startswith("samples")
    assert lines[-1] == "run/evaluation.json"
    path = in_tmp / "home/.cache/minigan/classifiers/digits.npz"
    assert f"{path} does not exist: training the classifier, once" in err
    assert "of 299 test images right, written to" in err
    first = path.read_bytes()
    stored = read_json("run/evaluation.json")
    assert [row["name"] for row in stored["rows"]] == ["real test images", "samples"]
    assert (stored["n"], stored["seed"], stored["data"], stored["k"]) == (40, 3, "digits", 3)
    assert stored["classifier"]["config"]["epochs"] == 1
    assert f"test accuracy {stored['classifier']['accuracy']:.2%}" in out
    for row in stored["rows"]:
        assert sum(row["histogram"]) == 40
        assert all(math.isfinite(v) for v in row.values() if isinstance(v, float))
    before = (in_tmp / "run/evaluation.json").read_bytes()
    status, out, err = run(capsys, "evaluate", dense, "--n", "40", "--seed", "3")
    assert (status, err) == (0, "")  # the classifier is not trained again
    assert out.splitlines()[-1] == "run/evaluation-002.json"  # nothing is overwritten
    assert path.read_bytes() == first
    assert (in_tmp / "run/evaluation.json").read_bytes() == before
    assert (in_tmp / "run/evaluation-002.json").read_bytes() == before  # the same command, the same numbers


def gaussian(kept):
    train_recipe("gaussian", overrides={"iterations": 1, "frames": 1}, out="g")
    return ["g"]


def on(data):
    train_recipe("mnist-dense", overrides={"data": "digits", "iterations": 1}, out="c")
    stored = read_json("c/config.json")
    stored["settings"]["data"] = data
    write_json("c/config.json", stored)
    return ["c", "--data-dir", "."]


def on_gone_data(kept):
    return on("stl10")


def on_cifar(kept):
    return on("cifar10")


def on_mnist(kept):
    return on("mnist")


def not_finite(kept):
    train_recipe("mnist-dense", overrides={"data": "digits", "iterations": 1}, out="n")
    arrays = read_arrays("n/generator.npz")
    arrays["0.W"][0, 0] = np.nan
    write_arrays("n/generator.npz", arrays)
    return ["n"]


def without_generator(kept):
    arguments = on("digits")
    (kept.parent / "c/generator.npz").unlink()
    return arguments


def of_other_data(kept):
    (kept / "digits.npz").unlink()
    write_classifier(kept / "digits.npz", untrained(Config(), np.random.default_rng(0)))
    train_recipe("mnist-dense", overrides={"data": "digits", "iterations": 1}, out="r")
    return ["r"]


def of_other_images(kept):
    net = replace(untrained(Config(side=32, colours=3), np.random.default_rng(0)), data="digits")
    write_classifier(kept / "digits.npz", net)
    return on("digits")


def no_folder(kept):
    train_recipe("mnist-dense", overrides={"data": "digits", "iterations": 1}, out="r")
    return ["r", "--classifier", "r/config.json"]


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (lambda kept: ["nowhere"], "nowhere: not a run folder: it has no config.json"),
        (gaussian, "gaussian does not make images; expected a run of an image recipe"),
        (on_gone_data, "data=stl10: there is no classifier for it; expected a run on mnist, fashion-mnist, cifar10, d"),
        (on_cifar, "c: its images are (28, 28, 1), those of cifar10 (32, 32, 3); expected as large or larger"),
        (on_mnist, "mnist: not found:"),
        (not_finite, "n: its generator gives values that are not finite"),
        (without_generator, "c/generator.npz: No such file or directory: no weights yet; finish the run with"),
        (of_other_data, "digits.npz: a classifier of ''; expected one of digits; without the file it is trained again"),
        (of_other_images, "digits.npz: a classifier of images (32, 32, 3); expected (28, 28, 1)"),
        (no_folder, "r/config.json: File exists; expected a folder for the classifier"),
    ],
    ids=lambda c: getattr(c, "__name__", ""),
)
def test_what_cannot_be_evaluated_says_why(in_tmp, kept, coloured, capsys, monkeypatch, case, message):
    monkeypatch.delenv("MINIGAN_DATA", raising=False)
    arguments = case(kept)
    capsys.readouterr()
    status, out, err = run(capsys, "evaluate", "--classifier", str(kept), *arguments)
    assert (status, out) == (1, "")
    assert message in err
    assert "Traceback" not in err
    assert not list(in_tmp.rglob("evaluation*.json"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--n", "300"], "n must be an int in 4 ... 299 (the test images of digits), got 300"),
        (["--n", "3"], "argument --n: '3' given; expected a whole number >= 4"),
        (["--clasifier", "x"], "unknown argument '--clasifier' (did you mean '--classifier'?)"),
    ],
)
def test_arguments_that_are_not_accepted(dense, kept, capsys, arguments, message):
    status, out, err = run(capsys, "evaluate", dense, *arguments)
    assert (status, out) == (2, "")
    assert message in err


@pytest.mark.parametrize("n", [True, 40.0, "40", 0, -5])
def test_n_is_a_whole_number(dense, kept, n):
    with pytest.raises(ConfigError, match="n must be an int in 4 ... 299"):
        evaluate(dense, n=n, classifier=kept)


# --- the numbers ------------------------------------------------------------------------------------


def test_all_there_are_by_default_and_the_function_is_the_command(dense, kept, trained, digits):
    found = evaluate(dense, classifier=kept)
    train, test = digits
    assert found.n == len(test) == 299
    real = match_blur(test.images, 28)
    assert found.accuracy == trained.accuracy == trained.accuracy_on(real, test.labels)
    control, samples = found.rows
    reference = Reference(trained, match_blur(train.images, 28), 299)
    assert control == reference.row("real test images", real)
    _, recipe, _ = load_generator(dense)
    assert samples == reference.row("samples", to_classifier_size(recipe.to_images(sample(dense, n=299)), (28, 28, 1)))
    _, distance = nearest(real, match_blur(train.images, 28))
    assert control.nearest_median == pytest.approx(np.median(distance))
    assert control.nearest_least == pytest.approx(distance.min())
    assert control.nearest_least <= control.nearest_1_percent <= control.nearest_median
    assert json.loads(json.dumps(found.as_dict()))["accuracy_on_control"] == trained.accuracy
    assert write_evaluation(dense, found).name == "evaluation.json"
    assert write_evaluation(dense, found).name == "evaluation-002.json"


def test_the_control_is_near_and_what_is_wrong_is_seen(trained, digits):
    """Noise, a single class, and copies of the training images are each detected by the corresponding number."""
    train, test = digits
    n = 200
    examples, real = match_blur(train.images, 28), match_blur(test.images, 28)[:n]
    reference = Reference(trained, examples, n)
    control = reference.row("real", real)
    noise = reference.row("noise", np.random.default_rng(0).random((n, 28, 28, 1), dtype=np.float32))
    ones = reference.row("ones", examples[train.labels == 1][np.arange(n) % 100])
    copies = reference.row("copies", examples[:n])
    assert control.precision > 0.7
    assert control.recall > 0.7
    assert control.total_variation < 0.15
    for bad in (noise, ones):
        assert bad.classifier_frechet_distance > 3 * control.classifier_frechet_distance
        assert bad.recall < 0.2
        assert bad.score < control.score
        assert bad.total_variation > 0.5
    assert noise.precision < 0.1
    assert noise.nearest_least > 2 * control.nearest_median
    assert ones.precision > 0.7
    assert copies.nearest_median == copies.nearest_least == 0  # memorisation, far below the baseline
    assert control.nearest_least > 0.5
    assert copies.precision > 0.7


def test_the_digits_are_split_without_a_remainder(digits):
    train, test = digits
    assert (len(train), len(test)) == (1498, 299)
    counts = np.bincount(test.labels, minlength=10)
    assert counts.min() > 20
    assert not {image.tobytes() for image in test.images} & {image.tobytes() for image in train.images}


def test_spread_is_even():
    for length, n in ((299, 299), (60_000, 10_000), (7, 3)):
        index = spread(length, n)
        assert len(set(index.tolist())) == n
        assert set(np.diff(index).tolist()) <= {length // n, -(-length // n)}
        assert 0 <= index.min() <= index.max() < length


def test_other_sizes_are_brought_to_28(digits):
    rng = np.random.default_rng(0)
    x = rng.random((3, 56, 56, 3))
    want = x.reshape(3, 28, 2, 28, 2, 3).mean(axis=(2, 4, 5))
    grey = (28, 28, 1)
    np.testing.assert_allclose(to_classifier_size(x, grey)[..., 0], want, rtol=1e-5)
    assert to_classifier_size(x, grey).dtype == np.float32
    train, _ = digits
    real = train.images[:1003]  # more than a block
    np.testing.assert_array_equal(match_blur(real, 28), (real / 255).astype(np.float32))
    seen = match_blur(real, 64)
    colour = resize((real / 255).astype(np.float32), 64).repeat(3, axis=3)
    np.testing.assert_allclose(
        seen, to_classifier_size(colour, grey), atol=1e-6
    )  # real images as a perfect dcgan64 would generate them
    np.testing.assert_allclose(seen.mean(axis=(1, 2)), match_blur(real, 28).mean(axis=(1, 2)), atol=0.02)
    assert np.abs(seen - match_blur(real, 28)).max() > 0.05  # the blur


def test_a_run_of_64x64_colours(in_tmp, kept, trained, digits):
    train_recipe("dcgan64", overrides={"data": "digits", "iterations": 1, "batch_size": 2, "width": 128}, out="d")
    found = evaluate("d", n=30, classifier=kept)
    train, test = digits
    reference = Reference(trained, match_blur(train.images, 64), 30)
    assert found.rows[0] == reference.row("real test images", match_blur(test.images[spread(299, 30)], 64))
    assert found.rows[1].name == "samples"


def test_a_run_on_cifar10_is_judged_in_colour(in_tmp, coloured, capsys, monkeypatch):
    own = classifier.CLASSIFIERS["cifar10"]
    assert own.shape == (32, 32, 3)
    quick = replace(own, channels=4, batch_size=20, epochs=12, dropout=0.0)
    monkeypatch.setitem(classifier.CLASSIFIERS, "cifar10", quick)
    train_recipe("dcgan64", overrides={"data": "cifar10", "iterations": 1, "batch_size": 2, "width": 128}, out="d")
    status, out, _err = run(capsys, "evaluate", "d", "--classifier", "kept")
    assert status == 0
    assert "cifar10: 60 of 50,000 images: data_batch_1.bin" in out
    stored = read_json("d/evaluation.json")
    assert (stored["n"], stored["note"]) == (60, "60 of 50,000 images: data_batch_1.bin")
    assert stored["classifier"]["accuracy"] > 0.4  # all have the same grey level: 0.1 without colours
    train, test = splits("cifar10")
    net = classifier.read_classifier("kept/cifar10.npz")
    assert net.config == quick
    found = evaluate("d", classifier="kept")
    assert found.rows[0] == Reference(net, match_blur(train.images, 64), 60).row(
        "real test images", match_blur(test.images, 64)
    )
    assert found.rows[0].nearest_median < found.rows[1].nearest_least


def test_colours_are_seen_as_samples_are(coloured):
    real = splits("cifar10")[0].images
    seen = match_blur(real, 64)
    blocks = resize(real / 255, 64).reshape(60, 32, 2, 32, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(seen, blocks, atol=1e-6)
    assert seen.dtype == np.float32
    np.testing.assert_array_equal(to_classifier_size(real / 255, (32, 32, 3)), (real / 255).astype(np.float32))


def test_samples_come_in_blocks(dense, monkeypatch):
    want = sample(dense, n=40)
    monkeypatch.setattr("minigan.recipes.labels.SAMPLES_PER_BLOCK", 7)
    np.testing.assert_allclose(sample(dense, n=40), want, rtol=1e-5, atol=1e-6)


def test_a_damaged_classifier_is_named(dense, kept):
    (kept / "digits.npz").write_bytes(b"PK")
    with pytest.raises(RunError, match=r"digits.npz: not a whole .npz file.*; without the file it is trained again"):
        evaluate(dense, n=30, classifier=kept)
