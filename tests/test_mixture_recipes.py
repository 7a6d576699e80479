"""The recipes `ring8` and `grid25`: measures with known answers, runs, figures, and animations of several runs."""

import math
from pathlib import Path

import numpy as np
import pytest
from command import run
from matplotlib.colors import same_color
from PIL import Image

import minigan as mg
from minigan import plots, runs
from minigan._names import ConfigError
from minigan.data import grid25, ring8
from minigan.losses import OBJECTIVES
from minigan.metrics import mixture_modes
from minigan.plots import palette
from minigan.plots.write import rasterise
from minigan.recipes import RunOptions, get_recipe, mixtures
from minigan.recipes.mixture_figures import POINTS, SHOWN
from minigan.training import (
    Callback,
    Diagnosis,
    RunError,
    random_streams,
    read_arrays,
    read_json,
    resume,
    train,
    write_arrays,
)

NAMES = {"ring8": ring8(), "grid25": grid25()}
FEW = {"iterations": 6, "batch_size": 8, "hidden": 5, "layers": 2, "frames": 3, "evaluate_every": 2}
PICTURES = {"samples.gif", "samples.png", "losses.png"}


def build(name="ring8", *, seed=3, **settings):
    recipe = get_recipe(name)
    return recipe.build(recipe.configure(FEW | settings), RunOptions(seed=seed, options={"threads": 1}))


def trained(folder, name="ring8", **settings):
    return runs.train_recipe(name, seed=3, overrides=FEW | settings, out=folder)


def stay_at(net, point):
    """Give a network the constant output `point`."""
    net.theta = np.zeros_like(net.theta)
    net.parameters()[[*net.parameters()][-1]][...] = point
    net.mark_modified()


class Seen(Callback):
    def on_iteration(self, run):
        self.run = run


# --- measures ---------------------------------------------------------------------------------------


class TestMeasures:
    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("ema", [0.0, 0.9])
    def test_the_summary_has_the_modes_of_samples_of_the_stored_generator(self, name, ema, in_tmp):
        """2500 fresh samples of the weights that the summary names, which is the average where there is one."""
        summary = trained("run", name, ema=ema)
        assert summary["weights"] == ("generator-ema.npz" if ema else "generator.npz")
        G, _, config = runs.load_generator("run", raw=not ema)
        z = mixtures.prior(config, 2500, random_streams(3)["evaluation"]).astype("float32")
        want = mixture_modes(G(z), NAMES[name].centres, sigma=NAMES[name].sigma).as_dict()
        assert {key: summary[key] for key in want} == want
        assert set(want) == {"modes", "modes_of", "high_quality", "reverse_kl", "intervals", "counts", "samples"}
        assert (want["modes_of"], want["samples"]) == (len(NAMES[name].centres), 2500)
        assert read_json("run/summary.json")["counts"] == want["counts"]
        if ema:
            other = runs.load_generator("run", raw=True)[0]
            assert np.abs(other(z) - G(z)).max() > 1e-6

    @pytest.mark.parametrize(("name", "modes"), [("ring8", 8), ("grid25", 25)])
    @pytest.mark.parametrize("ema", [0.0, 0.9])
    def test_a_generator_of_one_mode(self, name, modes, ema):
        """reverse KL = log 8 and log 25; the metrics and the diagnosis of collapse see the same generator."""
        experiment = build(name, iterations=200, lr=1e-12, ema=ema, evaluate_every=1)
        stay_at(experiment.gan.G, NAMES[name].centres[0])
        seen = Seen()
        summary = train(experiment, callbacks=[seen])
        assert (summary["modes"], summary["high_quality"], summary["samples"]) == (1, 1, 2500)
        assert summary["reverse_kl"] == pytest.approx(math.log(modes))
        assert all((m["modes"], m["high_quality"]) == (1, 1) for m in seen.run.history)
        assert "collapse" in [found["kind"] for found in summary["diagnosis"]]
        (diagnosis,) = (c for c in experiment.callbacks if isinstance(c, Diagnosis))
        assert diagnosis.modes == modes

    def test_a_sample_outside_three_sigma_is_of_low_quality(self):
        data = ring8()
        x = np.array([[1.0, 0.0], [1.0, 0.0299], [1.0, 0.0301], [-1.0, 0.5]])
        assert mixtures.metrics_of(x, data) == {"modes": 1.0, "high_quality": 0.5}

    def test_the_average_is_what_is_measured_and_drawn(self):
        """The trained G is made to leave the ring; its average is at one mode."""
        experiment = build(ema=0.9, iterations=1)
        stay_at(experiment.gan.G, (5.0, 5.0))
        average = next(c for c in experiment.callbacks if hasattr(c, "network"))
        (modes,) = (c for c in experiment.callbacks if isinstance(c, mixtures.SampleModes))
        (figures,) = experiment.figures
        assert modes.G is figures.G is average.network is not experiment.gan.G
        stay_at(average.network, (0.0, 1.0))
        z = np.zeros((10, 2), "float32")
        assert (modes.metrics()["modes"], modes.report(z)["high_quality"]) == (1, 1)
        assert modes.report(z)["weights"] == "generator-ema.npz"

    def test_they_are_counted_every_few_iterations_and_at_the_end(self):
        seen = Seen()
        train(build(iterations=5, evaluate_every=2), callbacks=[seen])
        assert [k for k, m in enumerate(seen.run.history, start=1) if "modes" in m] == [2, 4, 5]

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_samples_that_are_not_finite_are_no_success(self, bad):
        experiment = build(ema=0.0)
        (modes,) = (c for c in experiment.callbacks if isinstance(c, mixtures.SampleModes))
        stay_at(experiment.gan.G, (bad, 0.0))
        assert all(math.isnan(value) for value in modes.metrics().values())
        report = modes.report(np.zeros((4, 2), "float32"))
        assert math.isnan(report["modes"])
        assert math.isnan(report["high_quality"])

    def test_a_sweep_tabulates_them(self):
        found = runs.sweep("ring8", seeds=2, workers=1, overrides=FEW)
        assert {"modes", "high_quality", "reverse_kl"} <= set(found.table())


# --- runs -------------------------------------------------------------------------------------------


class TestRuns:
    @pytest.mark.parametrize("name", NAMES)
    def test_the_files_of_a_run(self, name, in_tmp):
        trained("run", name, ema=0.9)
        files = {p.name for p in Path("run").iterdir()}
        assert files == PICTURES | {
            "config.json", "metrics.jsonl", "summary.json", "generator.npz", "discriminator.npz", "generator-ema.npz",
            "frames.npz",
        }  # fmt: skip
        with Image.open("run/samples.gif") as gif:
            assert gif.n_frames == 4  # iterations 0, 2, 4, 6
        recording = plots.read_recording("run")
        assert recording.iterations.tolist() == [0, 2, 4, 6]
        assert recording.samples.shape == (4, SHOWN, 2)
        assert recording.d.shape == (4, POINTS, POINTS)
        assert recording.of == len(NAMES[name].centres)
        assert runs.sample("run", n=7).shape == (7, 2)

    @pytest.mark.parametrize(
        "settings",
        [{"ema": 0.9}, {"pack": 2, "objective": "minimax", "r1": 0.0}, {"updates": "simultaneous", "r2": 0.0}],
    )
    def test_a_resumed_run_is_the_uninterrupted_one(self, settings, in_tmp):
        class Dies(Callback):
            def on_iteration(self, run):
                if run.iteration == 5:
                    raise RuntimeError("planted")

        whole = build(**settings)
        train(whole, folder="whole")
        with pytest.raises(RuntimeError, match="planted"):
            train(build(**settings), folder="run", callbacks=[Dies()], checkpoint_every=3)
        again = build(**settings)
        resume(again, "run")
        for name in ("G", "D"):
            assert again.gan.players[name].network.theta.tobytes() == whole.gan.players[name].network.theta.tobytes()
        names = PICTURES | {"frames.npz", "metrics.jsonl", "generator.npz"}
        for name in names:
            assert Path("run", name).read_bytes() == Path("whole", name).read_bytes(), name

    @pytest.mark.parametrize("objective", sorted(set(OBJECTIVES) - {"softmax"}))
    @pytest.mark.parametrize("pack", [1, 2])
    def test_every_objective_can_be_packed_and_penalised(self, objective, pack, in_tmp):
        settings = {"iterations": 2, "r1": 0.1, "r2": 0.1, "clip": 0.1 if objective == "wasserstein" else 0.0}
        experiment = build(objective=objective, pack=pack, **settings)
        assert [(type(p), p.weight) for p in experiment.gan.penalties] == [(mg.R1, 0.1), (mg.R2, 0.1)]
        summary = train(experiment, folder="run")
        assert summary["status"] == "completed"
        assert plots.read_recording("run").label == f"{objective}{', packs of 2' if pack == 2 else ''}, R1, R2"

    @pytest.mark.parametrize("updates", ["alternating", "simultaneous"])
    @pytest.mark.parametrize("networks", ["small", "published"])
    def test_float64_and_reference_follow_the_same_path(self, updates, networks):
        thetas = []
        for dtype, ops in (("float32", "cpu"), ("float64", "cpu"), ("float64", "reference")):
            recipe = get_recipe("ring8")
            settings = {
                "iterations": 3,
                "updates": updates,
                "networks": networks,
                "eps": 0.1,
            }  # no signs of gradients near 0
            config = recipe.configure(FEW | settings)
            experiment = recipe.build(config, RunOptions(dtype=dtype, ops=ops))
            train(experiment)
            thetas.append(np.concatenate([experiment.gan.G.theta, experiment.gan.D.theta]))
        np.testing.assert_allclose(thetas[0], thetas[1], rtol=1e-2, atol=2e-3)
        np.testing.assert_allclose(thetas[1], thetas[2], rtol=1e-8, atol=1e-10)

    def test_no_penalty_by_weight_zero(self):
        assert build(r1=0.0, r2=0.0).gan.penalties == ()
        assert [type(p) for p in build(r1=0.5, r2=0.0).gan.penalties] == [mg.R1]

    def test_the_learning_rate_falls_linearly_at_the_end(self):
        adam = build(iterations=100, lr=0.5, decay=0.2).gan.optimizer_G
        found = [adam.lr(t) for t in (1, 80, 81, 91, 100, 150)]
        assert found == pytest.approx([0.5, 0.5, 0.5, 0.25, 0.025, 0.025])
        assert build(lr=0.25, decay=0.0).gan.optimizer_D.lr == 0.25

    def test_the_command_line(self, in_tmp, capsys):
        options = [word for key, value in FEW.items() for word in ("--set", f"{key}={value}")]
        status, out, _ = run(capsys, "train", "ring8", *options, "--set", "ema=0.9", "--out", "run")
        assert status == 0
        summary = read_json("run/summary.json")
        assert f"modes          {summary['modes']} of 8, {summary['high_quality']:.2%} high quality" in out
        assert "(2,500 samples, averaged generator)" in out
        assert "run/samples.gif" in out


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"networks": "smal"}, "unknown networks 'smal' .did you mean 'small'"),
        ({"updates": "both"}, "unknown updates 'both'"),
        ({"objective": "hings"}, "unknown objective 'hings' .did you mean 'hinge'"),
        ({"objective": "wasserstein"}, "objective=wasserstein needs clip > 0"),
        ({"r1": -1}, r"r1 must be in \[0, inf\)"),
        ({"r2": -0.5}, r"r2 must be in \[0, inf\)"),
        ({"pack": 0}, "pack must be >= 1"),
        ({"pack": 3, "batch_size": 100}, "batch_size must be a multiple of pack=3, got 100"),
        ({"pack": 2, "updates": "simultaneous"}, "updates=simultaneous shows D one example at a time, got pack=2"),
        ({"decay": 1.5}, r"decay must be in \[0, 1\]"),
        ({"beta1": 1}, r"beta1 must be in \[0, 1\)"),
        ({"layers": 0}, "layers must be >= 1"),
    ],
)
def test_settings_that_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        get_recipe("ring8").configure(settings)


def test_the_published_networks_and_settings():
    """Those of PacGAN's code for its GAN, and with packs."""
    for name in NAMES:
        config = get_recipe(name).configure(mixtures.PUBLISHED)
        init = mg.Normal(0.02)
        G = [
            layer
            for inputs in (2, 400, 400, 400)
            for layer in (
                mg.Dense(inputs, 400, bias=False, weight_init=init),
                mg.BatchNorm(400, eps=1e-4, momentum=0.05, unbiased=False),
                mg.ReLU(),
            )
        ]
        D = [mg.Maxout(inputs, 200, pieces=5, weight_init=init) for inputs in (2, 200, 200)]
        architecture = get_recipe(name).architecture(config)
        wanted = [*G, mg.Dense(400, 2, weight_init=init)], [*D, mg.Dense(200, 1, weight_init=init)]
        found = architecture.G, architecture.D
        assert found == wanted
        experiment = get_recipe(name).build(config)
        assert experiment.gan.objective == mg.NonSaturating()
        assert (experiment.gan.optimizer_G.lr, experiment.gan.optimizer_G.beta1) == (1e-4, 0.8)
        assert experiment.gan.penalties == ()
    packed = get_recipe("grid25").configure({**mixtures.PUBLISHED, "updates": "alternating", "pack": 4})
    assert get_recipe("grid25").architecture(packed).D[0] == mg.Maxout(8, 200, pieces=5, weight_init=init)


# --- figures ----------------------------------------------------------------------------------------


class TestTheMapOfD:
    def test_rows_are_x2_from_below(self):
        """D = sigma(10 x_2): the last row, where x_2 is largest, is certain."""
        experiment = build(objective="minimax", r1=0.0, r2=0.0, layers=1)
        figures, D = experiment.figures[0], experiment.gan.D
        D.theta = np.zeros_like(D.theta)
        parameters = D.parameters()
        (W1, _), (W2, _) = ([parameters[f"{k}.{name}"] for name in "Wb"] for k in (0, 2))
        W1[1, 0], W1[1, 1], W2[0], W2[1] = 1.0, -1.0, 10.0, -10.0  # LeakyReLU: x + .2 x for both signs
        D.mark_modified()
        d = figures._map(D, figures.G(figures.z))
        assert d.shape == (POINTS, POINTS)
        x2 = np.linspace(-figures.half_width, figures.half_width, POINTS)
        want = 255 / (1 + np.exp(-12 * x2))
        assert np.abs(d - want[:, None]).max() <= 1
        assert figures.half_width == pytest.approx(1.4)

    def test_a_relativistic_map_does_not_depend_on_the_constant_of_the_logits(self):
        experiment = build(objective="relativistic")
        figures, D = experiment.figures[0], experiment.gan.D
        x = figures.G(figures.z)
        before = figures._map(D, x)
        D.parameters()[[*D.parameters()][-1]][...] += 7
        D.mark_modified()
        assert np.abs(figures._map(D, x).astype(int) - before).max() <= 1

    def test_packs_are_judged_with_samples_of_g(self):
        """A D that looks at its second example only gives the same value at all points."""
        experiment = build(objective="minimax", pack=2, r1=0.0, r2=0.0, layers=1)
        figures, D = experiment.figures[0], experiment.gan.D
        D.parameters()["0.W"][:2] = 0
        D.mark_modified()
        assert np.ptp(figures._map(D, figures.G(figures.z))) == 0

    def test_values_that_are_not_finite(self):
        experiment = build(objective="minimax")
        figures, D = experiment.figures[0], experiment.gan.D
        D.theta = np.full_like(D.theta, np.nan)
        assert (figures._map(D, figures.G(figures.z)) == 0).all()


def recording(*, iterations=(0, 2, 4), label="minimax", modes=(0, 3, 8), quality=(0.0, 0.5, 0.97), of=8):
    rng, F = np.random.default_rng(0), len(iterations)
    return plots.Recording(
        label, np.array(iterations), rng.normal(size=(F, 20, 2)), np.zeros((F, 4, 4), np.uint8), np.array(modes),
        np.array(quality), rng.normal(size=(20, 2)), 1.4, of,
    )  # fmt: skip


class TestFrames:
    @pytest.mark.parametrize(("iteration", "frame"), [(-1, 0), (0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (99, 2)])
    def test_the_frame_at_an_iteration_is_the_last_one_before_it(self, iteration, frame):
        assert recording().at(iteration) == frame

    def test_its_titles_and_curves(self):
        one, other = recording(), recording(iterations=(0, 10), label="packs", modes=(1, 2), quality=(0.5, math.nan))
        figure = plots.mixture_frame([one, other], 4)
        left, right = figure.axes[:2]
        assert left.get_title() == "minimax\niteration 4\n8 of 8 modes, 97% high quality"
        assert right.get_title() == "packs\niteration 0\n1 of 8 modes, 50% high quality"
        below = figure.axes[2]
        assert below.get_lines()[1].get_xdata().tolist() == [0, 2, 4]
        assert below.get_lines()[1].get_ydata().tolist() == [0, 3, 8]
        assert below.get_xlim()[1] == figure.axes[3].get_xlim()[1] == 10  # the longest run's iterations
        assert "not finite" in plots.mixture_frame([other], 10).axes[0].get_title()

    def test_each_colour_has_its_meaning(self):
        figure = plots.mixture_frame([recording()], 4)
        (legend,) = figure.legends
        colours = dict(zip([t.get_text() for t in legend.get_texts()], legend.legend_handles, strict=True))
        assert same_color(colours["data"].get_color(), palette.DATA)
        assert same_color(colours["samples of G"].get_color(), palette.GENERATOR)
        assert same_color(colours["D(x), from 0 (white) to 1"].get_facecolor()[:3], palette.D)
        examples, samples = figure.axes[0].collections
        assert same_color(examples.get_facecolor()[0], palette.DATA)
        assert same_color(samples.get_facecolor()[0], palette.GENERATOR)
        picture = rasterise(figure)
        box = legend.get_window_extent()
        assert 0 <= box.x0 < box.x1 <= picture.width  # also in the narrowest figure, of one run
        assert not any(legend.get_window_extent().overlaps(axes.bbox) for axes in figure.axes)

    @pytest.mark.parametrize("count", [0, 7])
    def test_a_number_of_runs_that_is_refused(self, count):
        with pytest.raises(ValueError, match=f"recordings has {count} runs; expected 1 to 6"):
            plots.mixture_frame([recording()] * count, 0)


@pytest.fixture
def two_runs(in_tmp):
    """Two runs of different lengths."""
    trained("a", objective="minimax", r1=0.0, r2=0.0)
    trained("b", iterations=9, frames=9)
    return in_tmp


class TestAnimations:
    def test_side_by_side(self, two_runs):
        path = plots.mixture_animation(["a", "b"], "both.gif")
        with Image.open(path) as gif:
            assert gif.n_frames == 10  # those of the longer run
            wide = gif.width
        assert plots.mixture_animation(["a", "b"], "few.gif", frames=4, labels=["x", "y"]) == Path("few.gif")
        with Image.open("few.gif") as gif, Image.open(plots.mixture_animation([Path("b")], "one.gif")) as one:
            assert gif.n_frames == 4
            assert wide > one.width
        with Image.open(plots.mixture_animation(["a"], "last.gif", frames=1)) as last:
            assert last.n_frames == 1

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"runs": []}, "runs is .*expected a sequence of 1 to 6 run folders"),
            ({"runs": ["a"] * 7}, "expected a sequence of 1 to 6 run folders"),
            ({"runs": "a"}, "expected a sequence of 1 to 6 run folders"),
            ({"runs": ["a", "b"], "labels": ["one"]}, "labels has 1 titles for 2 runs"),
            ({"runs": ["a"], "frames": 0}, "frames must be an int >= 1, got 0"),
        ],
    )
    def test_arguments_that_are_refused(self, arguments, message, in_tmp):
        with pytest.raises(ValueError, match=message):
            plots.mixture_animation(path="x.gif", **arguments)
        assert not Path("x.gif").exists()

    def test_folders_that_are_refused(self, two_runs):
        with pytest.raises(RunError, match="none: not a run folder"):
            plots.mixture_animation(["none"], "x.gif")
        runs.train_recipe("gaussian", overrides={"iterations": 1, "batch_size": 20}, out="other")
        with pytest.raises(RunError, match="other: no frames.npz; expected a finished run of ring8 or grid25"):
            plots.mixture_animation(["a", "other"], "x.gif")
        whole = read_arrays("a/frames.npz")
        for name, array in (
            ("samples", whole["samples"][:1]), ("d", whole["d"][0]), ("modes", whole["modes"][:1]),
            ("iterations", whole["iterations"][:0]), ("of", whole["modes"]), ("examples", whole["d"]),
            ("modes", whole["modes"].astype(str)),
        ):  # fmt: skip
            write_arrays("a/frames.npz", {**whole, name: array})
            with pytest.raises(RunError, match="frames.npz: arrays of the shapes .* expected those of frames of a run"):
                plots.read_recording("a")
        write_arrays("a/frames.npz", {"d": whole["d"]})
        with pytest.raises(RunError, match="frames.npz: it has d; expected iterations, samples"):
            plots.read_recording("a")
        Path("a/frames.npz").write_bytes(b"damaged")
        with pytest.raises(RunError, match="frames.npz: not a whole .npz file"):
            plots.read_recording("a")

    def test_the_command(self, two_runs, capsys):
        options = ["--label", "the GAN of 2014", "--label", "R3GAN", "--frames", "3"]
        assert run(capsys, "animate", "a", "b", "--out", "x.gif", *options)[:2] == (0, "x.gif\n")
        with Image.open("x.gif") as gif:
            assert gif.n_frames == 3
        status, _, err = run(capsys, "animate", "a", "--out", "x.gif")
        assert (status, err) == (1, "minigan animate: x.gif exists; expected a new file\n")
        status, _, err = run(capsys, "animate", "a", "--out", "x.png")
        assert (status, err) == (1, "minigan animate: --out x.png; expected a name ending in .gif\n")
        status, _, err = run(capsys, "animate", "none", "--out", "y.gif")
        assert (status, err.count("\n"), "none: not a run folder" in err) == (1, 1, True)
        status, _, err = run(capsys, "animate", "a", "b", "--out", "y.gif", "--label", "one")
        assert (status, "labels has 1 titles for 2 runs" in err) == (2, True)
        assert run(capsys, "animate", "a")[0] == 2
        assert not Path("y.gif").exists()

    def test_titles(self):
        settings = {"objective": "minimax", "pack": 1, "r1": 0.0, "r2": 0.0}
        assert plots.run_label({"settings": settings}) == "minimax"
        assert plots.run_label({"settings": {**settings, "pack": 4, "r2": 0.1}}) == "minimax, packs of 4, R2"
        assert plots.run_label([]) == "run"
