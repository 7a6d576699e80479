"""`stacked-mnist`: its batches, players, updates and learning rates, and the modes that it counts and reports."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from command import run
from PIL import Image
from test_resume import Dies, everything

import minigan as mg
from minigan import data
from minigan._names import ConfigError
from minigan.classifier import Classifier, Config, stacked_modes, untrained, write_classifier
from minigan.diagnosis import diagnose
from minigan.evaluation import evaluate
from minigan.metrics import reverse_kl
from minigan.plots import mode_curves
from minigan.recipes import RunOptions, get_recipe
from minigan.recipes.mode_counts import ModeCount
from minigan.runs import load_generator, sample, train_recipe
from minigan.training import Run, RunError, random_streams, read_json, resume, train

RECIPE = get_recipe("stacked-mnist")
TINY = {
    "iterations": 5, "batch_size": 6, "stacks": 50, "latent": 3, "channels": 2, "sample_every": 2, "count_every": 2,
    "count_samples": 40, "final_samples": 60,
}  # fmt: skip
DCGAN = {"networks": "dcgan", "objective": "non-saturating", "r1": 0.0, "r2": 0.0, "g_updates": 2}


def digits(n=60):
    """Grey images of ten classes: those of class k have the value 25 k everywhere."""
    labels = (np.arange(n) % 10).astype(np.uint8)
    return data.Images("mnist", (25 * labels)[:, None, None, None] * np.ones((1, 28, 28, 1), np.uint8), labels)


class Shade(Classifier):
    """Reads the class from the mean of an image."""

    def predict(self, images):
        shade = np.clip(np.rint(images.mean(axis=(1, 2, 3)) * 255 / 25), 0, 9).astype(int)
        return np.zeros((len(images), 128)), np.eye(10)[shade]


def shade():
    net = untrained(Config(), np.random.default_rng(0))
    return Shade(net.body, net.head, net.config)


@pytest.fixture
def mnist(in_tmp, monkeypatch):
    """Sixty grey images that recipes load as MNIST, and a classifier of them."""
    monkeypatch.setattr("minigan.recipes.images.load", lambda name, split, data_dir=None: digits())
    monkeypatch.setattr("minigan.classifier.classifier_of", lambda train, test, *, log: shade())


def build(*, images=None, options=None, **settings):
    config = RECIPE.configure(TINY | settings)
    return RECIPE.build(config, RunOptions(seed=3, images=images, options=options or {}))


def seen_by_D(experiment, monkeypatch):
    """The batches of real images and of fakes that D sees."""
    seen, update_D = [], experiment.gan.update_D

    def update(x, fake):
        seen.append((x, fake))
        return update_D(x, fake)

    monkeypatch.setattr(experiment.gan, "update_D", update)
    return seen


# --- data, players and updates --------------------------------------------------------------------


def test_real_images_are_the_stacks_in_epochs(mnist, monkeypatch):
    experiment = build(batch_size=10)
    seen = seen_by_D(experiment, monkeypatch)
    for _ in range(5):
        experiment.play()
    stacked = data.stack_digits(digits(), rng=random_streams(3, "stacks")["stacks"], n=50)
    want = sorted(x.tobytes() for x in stacked.images(stacked.index))
    bytes_ = [np.rint((x + 1) * 127.5).astype(np.uint8) for x, _ in seen]
    assert sorted(x.tobytes() for batch in bytes_ for x in batch) == want
    assert {fake.shape for _, fake in seen} == {(10, 28, 28, 3)}
    assert all(abs(x).max() <= 1 and x.dtype == np.float32 for x, _ in seen)


def test_own_images_are_stacked_or_are_the_stacks(mnist, monkeypatch):
    grey = digits().images
    colours = np.random.default_rng(0).integers(0, 256, (60, 28, 28, 3)).astype(np.uint8)
    for images in (grey, colours):
        experiment = build(images=images)
        seen = seen_by_D(experiment, monkeypatch)
        summary = train(experiment)
        assert "modes" not in summary
        assert "modes" not in summary["metrics"]
        known = {x.tobytes() for x in colours} if images is colours else {x[..., :1].tobytes() for x in grey}
        for x, _ in seen:
            pixels = np.rint((x + 1) * 127.5).astype(np.uint8)
            channels = [pixels] if images is colours else [pixels[..., k : k + 1] for k in range(3)]
            assert all(one.tobytes() in known for channel in channels for one in channel)
    with pytest.raises(ConfigError, match=r"images: got shape \(60, 28, 28, 2\); expected \(N, 28, 28, 1\)"):
        build(images=np.ascontiguousarray(colours[..., :2]))


@pytest.mark.parametrize("settings", [{}, {"pack": 2}, DCGAN, {**DCGAN, "pack": 3}])
def test_the_players_fit(mnist, monkeypatch, settings):
    experiment = build(**settings)
    pack, updates = settings.get("pack", 1), settings.get("g_updates", 1)
    architecture = RECIPE.architecture(RECIPE.configure(TINY | settings))
    G, D = experiment.gan.G, experiment.gan.D
    assert G.chain.output_shape(architecture.noise_shape) == (28, 28, 3)
    assert D.chain.output_shape(architecture.data_shape) == (1,)
    assert architecture.data_shape == (28, 28, 3 * pack)
    assert RECIPE.image_shape(RECIPE.configure(TINY | settings)) == (28, 28, 3)
    of_D, of_G = experiment.play()
    assert of_D.logits_real.shape == of_D.logits_fake.shape == of_G.logits_fake.shape == (6 // pack, 1)
    assert (experiment.gan.optimizer_D.t, experiment.gan.optimizer_G.t) == (1, updates)


def test_the_dcgan_is_the_published_one():
    """Layers and sizes of the code of PacGAN's experiment: 5x5 kernels, weights N(0, 0.02^2)."""
    config = RECIPE.configure({**DCGAN, "channels": 64, "latent": 100})
    w = {"weight_init": mg.Normal(0.02)}
    up, down = ({"stride": 2, "padding": "same", **w} for _ in range(2))
    players = RECIPE.architecture(config)
    assert list(players.G) == [
        mg.Dense(100, 2048, **w), mg.Reshape((2, 2, 512)), mg.BatchNorm(512), mg.ReLU(),
        mg.ConvTranspose2D(512, 256, 5, **up), mg.BatchNorm(256), mg.ReLU(),
        mg.ConvTranspose2D(256, 128, 5, **{**up, "padding": 2}), mg.BatchNorm(128), mg.ReLU(),
        mg.ConvTranspose2D(128, 64, 5, **up), mg.BatchNorm(64), mg.ReLU(),
        mg.ConvTranspose2D(64, 3, 5, **up), mg.Tanh(),
    ]  # fmt: skip
    leaky = mg.LeakyReLU(0.2)
    assert list(players.D) == [
        mg.Conv2D(3, 64, 5, **down), leaky,
        mg.Conv2D(64, 128, 5, **down), mg.BatchNorm(128), leaky,
        mg.Conv2D(128, 256, 5, **down), mg.BatchNorm(256), leaky,
        mg.Conv2D(256, 512, 5, **down), mg.BatchNorm(512), leaky,
        mg.Flatten(), mg.Dense(2048, 1, **w),
    ]  # fmt: skip
    z = RECIPE.prior(config, 2000, np.random.default_rng(0))
    assert -1 <= z.min() < -0.999
    assert 0.999 < z.max() < 1
    assert abs(RECIPE.prior(RECIPE.Config(), 2000, np.random.default_rng(0)).std() - 1) < 0.01


def test_penalties_and_objective_are_those_of_the_settings(mnist):
    gan = build(r1=3.0, r2=0.0, objective="hinge", penalty_every=4).gan
    assert list(gan.penalties) == [mg.R1(3.0)]
    assert gan.penalty_every == 4
    assert gan.objective == mg.Hinge()
    gan = build(r1=0.5, r2=2.0).gan
    assert list(gan.penalties) == [mg.R1(0.5), mg.R2(2.0)]
    assert gan.objective == mg.RelativisticPairing()


@pytest.mark.parametrize("updates", [1, 2])
def test_learning_rates_are_constant_and_then_fall_linearly(mnist, updates):
    gan = build(iterations=100, lr_G=0.5, lr_D=0.25, lr_end=0.2, g_updates=updates).gan
    for optimizer, lr, steps in ((gan.optimizer_G, 0.5, updates), (gan.optimizer_D, 0.25, 1)):
        found = [optimizer.lr(t * steps) / lr for t in (1, 50, 75, 100, 150)]
        np.testing.assert_allclose(found, [1, 1, 0.6, 0.2, 0.2])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pack": 4}, "pack=4 with batch_size=6; expected a divisor of it"),
        ({"networks": "dcgan"}, r"r1=1.0 and r2=1.0 with networks=dcgan, whose D has batch norm"),
        ({"networks": "smal"}, "did you mean 'small'"),
        ({"objective": "relativistc"}, "did you mean 'relativistic'"),
        ({"lr_end": 0.0}, r"lr_end must be in \(0, 1\], got 0.0"),
        ({"r1": -1.0}, r"r1 must be in \[0, inf\), got -1.0"),
        ({"penalty_every": 0}, "penalty_every must be >= 1, got 0"),
        ({"g_updates": 0}, "g_updates must be >= 1, got 0"),
        ({"stacks": 0}, "stacks must be >= 1, got 0"),
        ({"final_samples": -1}, "final_samples must be >= 0, got -1"),
        ({"objective": "wasserstein"}, "objective=wasserstein needs clip > 0"),
    ],
)
def test_settings_that_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        RECIPE.configure(TINY | settings)


@pytest.mark.parametrize("settings", [{}, {**DCGAN, "pack": 2}, {"pack": 2, "ema": 0.0}])
def test_a_resumed_run_is_the_uninterrupted_one(mnist, settings):
    whole = build(**settings)
    train(whole, folder="whole")
    with pytest.raises(RuntimeError, match="planted"):
        train(build(**settings), folder="run", callbacks=[Dies(4)], checkpoint_every=1)
    again = build(**settings)
    assert resume(again, "run")["resumed"] == [{"iteration": 3, "checkpoint": "000003.checkpoint"}]
    assert everything(again) == everything(whole)
    for name in ("metrics.jsonl", "modes.png", "samples.png"):
        assert Path("run", name).read_bytes() == Path("whole", name).read_bytes()
    a, b = (read_json(f"{folder}/summary.json") for folder in ("run", "whole"))
    assert [a[key] for key in ("modes", "reverse_kl")] == [b[key] for key in ("modes", "reverse_kl")]


@pytest.mark.parametrize("threads", [1, 3])
def test_the_same_bits_for_any_number_of_threads(mnist, threads):
    found = []
    for options in ({"threads": 2}, {"threads": threads}):
        experiment = build(options=options, channels=8, batch_size=32, latent=64, penalty_every=2)
        for _ in range(3):
            experiment.play()
        found.append(everything(experiment))
    assert found[0] == found[1]


# --- modes ----------------------------------------------------------------------------------------


def known(modes):
    """A generator of stacks in [-1, 1] whose n-th image has the n-th of the modes; z is the number of the image."""

    def G(z):
        mode = np.asarray(modes)[z.astype(int).ravel()]
        classes = np.stack([mode // 100, mode // 10 % 10, mode % 10], axis=1)
        return np.broadcast_to((classes * 25 / 127.5 - 1)[:, None, None, :], (len(z), 28, 28, 3)).astype("float32")

    return G


@pytest.mark.parametrize(
    "modes",
    [
        np.arange(1000).repeat(3),  # all, equally often: KL = 0
        np.arange(1000)[:10].repeat(300),  # ten of them: KL = log 100
        np.full(500, 777),
        np.random.default_rng(0).integers(0, 1000, 2000),
    ],
)
def test_the_modes_of_a_generator_with_a_known_answer(mnist, modes):
    z = np.arange(len(modes), dtype="float32")[:, None]
    count = ModeCount(known(modes), z, RECIPE.to_images, every=2, images=lambda: (digits(), digits()))
    found = count.measure(z)
    assert found["modes"] == len(np.unique(modes))
    assert found["modes_of"] == 1000
    assert found["samples"] == len(modes)
    assert found["reverse_kl"] == pytest.approx(reverse_kl(np.bincount(modes, minlength=1000)), abs=1e-12)
    low, high = found["intervals"]["reverse_kl"]
    assert low <= found["reverse_kl"] <= high
    if len(np.unique(modes)) == 10:
        assert found["reverse_kl"] == pytest.approx(np.log(100))
    run_ = Run(None, 10, iteration=4, metrics={"d_loss": 1.0})
    count.on_iteration(run_)
    assert run_.metrics == {"d_loss": 1.0, "modes": found["modes"], "reverse_kl": found["reverse_kl"]}
    for iteration, counted in ((5, False), (6, True), (10, True)):
        run_.iteration, run_.metrics = iteration, {}
        count.on_iteration(run_)
        assert bool(run_.metrics) is counted
    assert count.measure(z[:0]) == {}


def test_the_summary_and_the_curve(mnist, capsys):
    summary = train_recipe("stacked-mnist", overrides=TINY, out="run", seed=3)
    stored = read_json("run/summary.json")
    for name in ("modes", "modes_of", "reverse_kl", "samples", "intervals"):
        assert stored[name] == summary[name]
    assert set(stored["intervals"]) == {"modes", "reverse_kl"}
    assert stored["samples"] == 60
    G, _, _ = load_generator("run")  # the average
    z = RECIPE.prior(RECIPE.configure(TINY), 60, random_streams(3)["evaluation"]).astype("float32")
    report = stacked_modes(shade(), RECIPE.to_images(G(z)))
    assert (summary["modes"], summary["reverse_kl"]) == (report.modes.value, report.reverse_kl.value)
    raw, _, _ = load_generator("run", raw=True)
    assert not np.array_equal(raw(z), G(z))
    lines = [read for read in Path("run/metrics.jsonl").read_text().splitlines() if "reverse_kl" in read]
    assert len(lines) == 3  # after 2, 4 and 5 iterations
    for name, size in (("modes.png", None), ("samples.png", 28 * 16)):
        with Image.open(f"run/{name}") as picture:
            assert picture.width > (size or 300)
            assert picture.mode == "RGB" or name == "modes.png"


@pytest.mark.parametrize(("ema", "suffix"), [("0.9", ", averaged generator"), ("0", "")])
def test_the_command_prints_the_modes(mnist, capsys, ema, suffix):
    settings = [word for name, value in {**TINY, "ema": ema}.items() for word in ("--set", f"{name}={value}")]
    status, out, err = run(capsys, "train", "stacked-mnist", *settings, "--out", "run")
    assert status == 0, err
    summary = read_json("run/summary.json")
    kl = f"{summary['reverse_kl']:.4f}"
    assert f"modes          {summary['modes']} of 1000, reverse KL {kl} nats   (60 samples{suffix})\n" in out
    assert (summary["weights"] == "generator-ema.npz") is bool(suffix)


def test_the_counts_change_nothing_else(mnist):
    with_, without = build(), build(count_every=0)
    for experiment in (with_, without):
        summary = train(experiment)
    assert "modes" not in summary["metrics"]
    assert everything(with_) == everything(without)


def test_samples_have_three_channels(mnist, capsys):
    train_recipe("stacked-mnist", overrides=TINY, out="run")
    assert sample("run", n=7).shape == (7, 28, 28, 3)
    assert run(capsys, "sample", "run", "--n", "12", "--out", "x.png")[0] == 0
    with Image.open("x.png") as picture:
        pixels = np.asarray(picture.convert("RGB"), dtype=int)
    assert (np.ptp(pixels, axis=2) > 10).any()  # colours
    with pytest.raises(RunError, match="stacked-mnist makes stacks of three digits; their modes and .* summary.json"):
        evaluate("run")


def test_the_diagnosis_knows_the_number_of_modes(mnist):
    """A run whose counts stay at a few modes has collapsed, although they are all that it ever found."""
    summary = train(build(iterations=40, count_every=1, count_samples=10, lr_G=1e-9, lr_D=1e-9))
    assert "collapse" in {finding["kind"] for finding in summary["diagnosis"]}
    evidence = next(finding["evidence"] for finding in summary["diagnosis"] if finding["kind"] == "collapse")
    assert "of 1000 modes" in evidence


def test_a_missing_classifier_is_trained_once_and_that_is_said(in_tmp, monkeypatch, capsys):
    monkeypatch.setattr("minigan.recipes.images.load", lambda name, split, data_dir=None: digits(200))
    train(build(), folder="run")
    said = capsys.readouterr().err
    path = data.cache_folder() / "classifiers" / "mnist.npz"
    assert f"{path} does not exist: training the classifier, once" in said
    assert said.index("training the classifier") < said.index("of 200 test images right")
    train(build(), folder="again")
    assert "classifier" not in capsys.readouterr().err
    assert read_json("run/summary.json")["modes"] == read_json("again/summary.json")["modes"]


def test_a_damaged_or_unwritable_classifier_is_an_error_before_training(in_tmp, monkeypatch):
    monkeypatch.setattr("minigan.recipes.images.load", lambda name, split, data_dir=None: digits())
    folder = data.cache_folder() / "classifiers"
    folder.mkdir(parents=True)
    (folder / "mnist.npz").write_bytes(b"damaged")
    experiment = build()
    with pytest.raises(RunError, match=r"mnist.npz: .*; without the file it is trained again"):
        train(experiment)
    assert experiment.gan.optimizer_D.t == 0
    write_classifier(folder / "mnist.npz", dataclasses.replace(untrained(Config(), np.random.default_rng(0)), data="x"))
    with pytest.raises(RunError, match="a classifier of 'x'; expected one of mnist"):
        train(build())


def test_without_data_the_error_says_where_they_were_looked_for(in_tmp, monkeypatch):
    monkeypatch.setenv("MINIGAN_DATA", str(in_tmp / "nothing"))
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("a download"))
    with pytest.raises(data.DataError, match="mnist"):
        build()


def test_without_counts_there_is_no_classifier(in_tmp, monkeypatch):
    monkeypatch.setattr("minigan.recipes.images.load", lambda name, split, data_dir=None: digits())
    monkeypatch.setattr("minigan.classifier.classifier_of", lambda *_, **__: pytest.fail("a classifier was read"))
    for settings in ({"count_every": 0}, {"count_samples": 0}):
        summary = train(build(final_samples=0, **settings))
        assert "modes" not in summary
        assert "modes" not in summary["metrics"]


def test_a_batch_that_only_fits_its_pack_can_be_trained(mnist):
    """The estimate of memory compares with the default batch size, of which 3 is not a divisor."""
    summary = train(build(pack=3, batch_size=6))
    assert summary["status"] == "completed"


def test_the_curves_have_the_measured_iterations_only():
    history = [{"d_loss": 1.0} for _ in range(6)]
    history[1] |= {"modes": 10.0, "reverse_kl": 4.0}
    history[5] |= {"modes": 900.0, "reverse_kl": 0.5}
    above, below = mode_curves(history).axes
    for axes, values in ((above, [10, 900]), (below, [4, 0.5])):
        np.testing.assert_array_equal(axes.lines[0].get_xdata(), [2, 6])
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), values)
    assert above.lines[1].get_ydata() == [1000, 1000]
    assert below.get_yscale() == "log"


@pytest.mark.parametrize(
    ("objective", "found"),
    [(mg.NonSaturating(), True), (mg.RelativisticPairing(), False), (mg.RelativisticAverage(), False)],
)
def test_the_level_of_all_logits_is_no_oscillation_of_a_relativistic_cost(objective, found):
    """A number that is added to all logits changes no relativistic cost; with other costs, it means taking turns."""
    history = [
        {"d_loss": 0.5, "g_loss": 1.0, "d_real": level + 0.02, "d_fake": level, "accuracy": 0.5}
        for level in np.repeat([0.05, 0.95] * 10, 100)
    ]
    assert ("oscillation" in {finding.kind for finding in diagnose(history, objective=objective)}) is found
