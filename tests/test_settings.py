"""Settings: values and strings are converted exactly or refused, with the expected values."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest

from minigan import runs
from minigan._names import ConfigError
from minigan.recipes import Recipe, RunOptions, get_recipe
from minigan.training import RunError, read_json, train

GAUSSIAN = get_recipe("gaussian")


@dataclass(frozen=True)
class Flags:
    fast: bool = False


FLAGS = Recipe("flags", "", "", Flags, GAUSSIAN.architecture, None, GAUSSIAN.assemble)


@pytest.mark.parametrize(
    ("key", "given", "want"),
    [
        ("batch_size", 32, 32),
        ("batch_size", np.int64(32), 32),
        ("batch_size", "32", 32),
        ("lr", 0.5, 0.5),
        ("lr", 1, 1.0),
        ("lr", "1", 1.0),
        ("lr", np.float32(0.5), 0.5),
        ("lr", 2**53, 2.0**53),
        ("iterations", 10**9, 10**9),
    ],
)
def test_accepted(key, given, want):
    value = getattr(GAUSSIAN.configure({key: given}), key)
    assert (value, type(value)) == (want, type(want))


@pytest.mark.parametrize(
    ("key", "given", "message"),
    [
        ("batch_size", 3.7, "batch_size=3.7; expected a whole number"),
        ("batch_size", 3.0, "batch_size=3.0; expected a whole number"),
        ("batch_size", "3.7", "batch_size='3.7'; expected a whole number"),
        ("batch_size", True, "batch_size=True; expected a whole number"),
        ("batch_size", np.True_, "expected a whole number"),
        ("batch_size", None, "batch_size=None; expected a whole number"),
        ("batch_size", [3], "expected a whole number"),
        ("iterations", 10**9 + 1, "expected a whole number .of at most 1,000,000,000."),
        ("iterations", "10000000000", "expected a whole number .of at most 1,000,000,000."),
        ("iterations", "9" * 5000, "expected a whole number"),
        ("lr", "nan", r"lr='nan'; expected a number \(finite\)"),
        ("lr", "-inf", "expected a number"),
        ("lr", math.nan, "lr=nan; expected a number"),
        ("lr", math.inf, "expected a number"),
        ("lr", "1e999", "expected a number"),
        ("lr", 2**53 + 1, "expected a number"),
        ("lr", True, "expected a number"),
        ("lr", 1j, "expected a number"),
    ],
)
def test_refused(key, given, message):
    with pytest.raises(ConfigError, match=message):
        GAUSSIAN.configure({key: given})


def test_texts_and_truths():
    recipe = get_recipe("mnist-dense")
    assert recipe.configure({"data": "digits"}).data == "digits"
    with pytest.raises(ConfigError, match="data=3; expected a string"):
        recipe.configure({"data": 3})
    for given, want in ((True, True), ("true", True), ("False", False), (np.True_, True)):
        assert FLAGS.configure({"fast": given}).fast is want
    for given in (1, 0.0, "yes", None):
        with pytest.raises(ConfigError, match="expected true or false"):
            FLAGS.configure({"fast": given})


def test_a_configuration_is_checked_like_settings():
    with pytest.raises(ConfigError, match="batch_size=3.7; expected a whole number"):
        GAUSSIAN.build(replace(GAUSSIAN.Config(), batch_size=3.7))
    assert GAUSSIAN.build(replace(GAUSSIAN.Config(), lr=1)).config["settings"]["lr"] == 1.0


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("gaussian", {"lr": -1}, "lr must be > 0, got -1"),
        ("gaussian", {"eps": 0}, "eps must be > 0, got 0"),
        ("mnist-dense", {"lr": 0}, "lr must be > 0, got 0"),
        ("mnist-dense", {"beta2": 1}, r"beta2 must be in \[0, 1\), got 1"),
        ("mnist-maxout", {"lr": -1}, "lr must be > 0, got -1"),
        ("mnist-maxout", {"lr_min": -1}, "lr_min must be > 0, got -1"),
        ("mnist-maxout", {"momentum": 1.5}, r"momentum must be in \[0, 1\), got 1.5"),
        ("mnist-maxout", {"momentum_final": 5}, r"momentum_final must be in \[0, 1\), got 5"),
        ("gaussian", {"beta1": 1}, r"beta1 must be in \[0, 1\), got 1"),
        ("gaussian", {"sigma": 0}, "sigma must be > 0"),
        ("mnist-dense", {"data": "digits", "batch_size": 1798}, "batch_size must be in 1 ... 1797"),
        ("mnist-dense", {"data": "minst"}, "unknown data 'minst' .did you mean 'mnist'"),
    ],
)
def test_what_a_part_refuses_is_a_setting_too(name, settings, message):
    if settings.get("data") == "digits":
        pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    recipe = get_recipe(name)
    with pytest.raises(ConfigError, match=message):
        recipe.build(recipe.configure(settings))


def test_any_other_error_is_not_about_a_setting(monkeypatch):
    def wrong(*_):
        raise ValueError("operands could not be broadcast together")

    broken = Recipe("broken", "", "", GAUSSIAN.Config, wrong, GAUSSIAN.prior, GAUSSIAN.assemble)
    with pytest.raises(ValueError, match="operands") as caught:
        broken.build()
    assert not isinstance(caught.value, ConfigError)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dtype": "float46"}, "unknown dtype 'float46' .did you mean 'float64'.*expected float32, float64"),
        ({"dtype": "complex128"}, "unknown dtype 'complex128'"),
        ({"ops": "cup"}, "unknown ops 'cup' .did you mean 'cpu'"),
    ],
)
def test_wrong_dtype_or_backend(given, message):
    with pytest.raises(ConfigError, match=message):
        RunOptions(**given)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "0"])
def test_wrong_seed(seed):
    with pytest.raises(ConfigError, match="seed must be an int >= 0"):
        GAUSSIAN.build(run_options=RunOptions(seed=seed))


# --- the backend's options, and the user's own images ---------------------------------------------


def test_options_reach_both_networks():
    experiment = GAUSSIAN.build(None, RunOptions(options={"threads": 3, "accuracy": "exact", "compiled": False}))
    for net in (experiment.gan.G, experiment.gan.D):
        assert (net.ops.threads, net.ops.accuracy, net.ops.compiled) == (3, "exact", False)
    assert experiment.config["options"] == {"threads": 3, "accuracy": "exact", "compiled": False}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"options": {"thread": 2}}, "unknown option 'thread' .did you mean 'threads'"),
        ({"options": {"threads": 0}}, "threads must be a whole number >= 1, got 0"),
        ({"options": {"accuracy": "exakt"}}, "unknown accuracy 'exakt' .did you mean 'exact'"),
        ({"options": {"threads": 1}, "ops": "reference"}, "ops='reference' takes no threads; expected ops='cpu'"),
    ],
)
def test_options_that_are_refused(setting, message):
    with pytest.raises(ConfigError, match=message):
        RunOptions(**setting)


def test_a_run_says_what_its_engine_was_and_goes_on_with_it(tmp_path, monkeypatch):
    options = {"threads": 1, "accuracy": "fast", "compiled": False}
    small = {"iterations": 2, "batch_size": 20}
    folder = runs.train_recipe("gaussian", overrides=small, options=options, out=tmp_path / "r", checkpoint_every=1)
    config = read_json(tmp_path / "r" / "config.json")
    assert config["options"] == options
    assert config["engine"] == options
    built = []
    monkeypatch.setattr(runs.single, "RunOptions", lambda **given: built.append(RunOptions(**given)) or built[-1])
    runs.resume_run(folder["folder"], iterations=3)
    assert built[-1].options == options


def test_a_run_of_the_reference_has_no_engine(tmp_path):
    runs.train_recipe("gaussian", overrides={"iterations": 1, "batch_size": 20}, ops="reference", out=tmp_path / "r")
    assert read_json(tmp_path / "r" / "config.json")["engine"] == {}


def test_images_of_ones_own(tmp_path):
    recipe = get_recipe("mnist-dense")
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1)).astype(np.uint8)
    experiment = recipe.build(recipe.configure({"batch_size": 4}), RunOptions(images=images))
    train(experiment, iterations=1, folder=tmp_path / "r", checkpoint_every=1)
    assert read_json(tmp_path / "r" / "config.json")["images"] == [40, 28, 28, 1]
    with pytest.raises(RunError, match="trained on your own images"):
        runs.resume_run(tmp_path / "r", iterations=2)
