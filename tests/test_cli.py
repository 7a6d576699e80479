"""The command line: correct commands, and errors for wrong ones."""

import json

import numpy as np
import pytest
from command import run

from minigan import runs
from minigan._names import ConfigError
from minigan.classifier import CLASSIFIERS
from minigan.cli import commands, main
from minigan.plots.images import LINE_PIXELS
from minigan.recipes import RECIPES, RunOptions, get_recipe
from minigan.training import read_arrays, read_json, train, write_arrays

SMALL = ["--iterations", "4", "--set", "batch_size=20", "--set", "frames=2"]


def test_recipes_is_a_table(capsys):
    status, out, _ = run(capsys, "recipes")
    assert status == 0
    assert "mnist-dense          244,368     536,577  S1" in out
    table, _, classifiers = out.partition("\n\n")
    assert len(table.splitlines()) == 1 + len(RECIPES)
    assert {line[28:41].split()[0] for line in table.splitlines()[1:]} >= {"436,321", "536,577", "31"}  # aligned
    assert all(f"  {recipe.about}" in table for recipe in RECIPES.values())  # no source runs into it
    assert classifiers.startswith("classifiers of `minigan evaluate`\n")
    assert "mnist           epochs = 5, batch_size = 128, lr = 0.002, dropout = 0.4, seed = 0, side = 28" in classifiers
    assert [line.split()[0] for line in classifiers.splitlines()[1:]] == list(CLASSIFIERS)


def test_summary(capsys):
    status, out, _ = run(capsys, "summary", "mnist-maxout")
    assert status == 0
    for text in ("total 2,503,984", "total 1,231,441", "1 Maxout", "momentum_final = 0.7"):
        assert text in out


def test_summary_with_a_setting(capsys):
    _, out, _ = run(capsys, "summary", "gaussian", "--set", "hidden=20")
    assert "total 61" in out
    _, out, _ = run(capsys, "summary", "dcgan64", "--width", "16")
    assert "1 Reshape             (N, 4, 4, 64)" in out


def test_train_prints_the_result_and_the_paths(in_tmp, capsys):
    status, out, err = run(capsys, "train", "gaussian", *SMALL, "--seed", "2")
    assert status == 0
    for text in ("generator      mean", "JSD ", "V(D) ", "-log 4         -1.386294", "runs/gaussian/001/gaussian.gif",
                 "runs/gaussian/001/gaussian.png", "runs/gaussian/001/figure_1.png", "seed 2"):  # fmt: skip
        assert text in out
    assert "4 [D loss:" in err
    assert read_json("runs/gaussian/001/summary.json")["seed"] == 2


def test_train_out_is_never_overwritten(in_tmp, capsys):
    assert run(capsys, "train", "gaussian", *SMALL, "--out", "mine")[0] == 0
    before = {p.name: p.read_bytes() for p in (in_tmp / "mine").iterdir()}
    status, _, err = run(capsys, "train", "gaussian", *SMALL, "--out", "mine")
    assert status == 1
    assert "minigan train: --out mine exists; expected a new or an empty folder" in err
    assert {p.name: p.read_bytes() for p in (in_tmp / "mine").iterdir()} == before


def test_a_diverged_run_is_a_failure_with_advice(in_tmp, capsys):
    status, out, err = run(capsys, "train", "gaussian", "--iterations", "40", "--set", "lr=1e25", "--set", "frames=2")
    assert status == 1
    assert "diverged" in out
    assert "Try a smaller learning rate" in err


def test_train_on_digits(in_tmp, capsys):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    status, out, _ = run(capsys, "train", "mnist-dense", "--data", "digits", "--iterations", "2", "--out", "run")
    assert status == 0
    assert "d_loss" in out
    assert (in_tmp / "run/samples.png").stat().st_size > 0
    status, out, _ = run(capsys, "sample", "run", "--n", "12")
    assert (status, out) == (0, "run/samples-001.png\n")
    from PIL import Image

    with Image.open(in_tmp / "run/samples-001.png") as sheet:
        assert sheet.size == ((10 * 30 - 2) * 2, (2 * 30 - 2) * 2 + LINE_PIXELS + 4)
    assert run(capsys, "sample", "run", "--out", "x.npy")[0] == 0
    assert np.load(in_tmp / "x.npy").shape == (40, 784)


def test_sample_a_gaussian(in_tmp, capsys):
    run(capsys, "train", "gaussian", *SMALL, "--out", "run")
    status, out, _ = run(capsys, "sample", "run", "--n", "1000", "--seed", "5")
    assert status == 0
    x = np.load(in_tmp / "run/samples-001.npy")
    assert x.shape == (1000, 1)
    assert f"1000 samples: mean {x.mean(dtype=float):.4f}, std {x.std(dtype=float):.4f}" in out
    assert "run/samples-002.npy" in run(capsys, "sample", "run")[1]
    for out_file, message in (("run/samples-001.npy", "exists; expected a new file"), ("a.png", "ending in .npy"),
                              ("a.txt", "ending in .npy")):  # fmt: skip
        status, _, err = run(capsys, "sample", "run", "--out", out_file)
        assert status == 1
        assert message in err


def test_sweep_tabulates_and_counts_failures(in_tmp, capsys):
    status, out, err = run(capsys, "sweep", "gaussian", *SMALL, "--seeds", "3", "--workers", "2")
    assert status == 0
    assert err.count("completed") == 3
    stored = read_json("runs/gaussian-sweep/001/sweep.json")
    assert (stored["runs"], stored["failures"]) == (3, 0)
    means = [s["generator"]["mean"] for s in stored["summaries"]]
    assert [s["seed"] for s in stored["summaries"]] == [0, 1, 2]
    row = stored["table"]["generator.mean"]
    assert row["mean"] == pytest.approx(np.mean(means))
    assert row["std"] == pytest.approx(np.std(means, ddof=1))
    assert (row["min"], row["max"]) == (min(means), max(means))
    assert "3 runs of gaussian, 0 failed" in out
    status, out, _ = run(capsys, "sweep", "gaussian", *SMALL, "--seeds", "2", "--set", "lr=1e30", "--iterations", "30")
    assert status == 1
    assert "2 runs of gaussian, 2 failed" in out
    assert "seed 0: diverged" in out


def test_a_sweep_gives_what_single_runs_give(in_tmp, capsys):
    run(capsys, "sweep", "gaussian", *SMALL, "--seeds", "2")
    run(capsys, "train", "gaussian", *SMALL, "--seed", "1")
    swept = read_json("runs/gaussian-sweep/001/sweep.json")["summaries"][1]
    alone = read_json("runs/gaussian/001/summary.json")
    assert json.dumps(swept["generator"]) == json.dumps(alone["generator"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["trian"], "unknown command 'trian' (did you mean 'train'?)"),
        (["train", "gausian"], "unknown recipe 'gausian' (did you mean 'gaussian'?)"),
        (["train", "gaussian", "--iteration", "3"], "unknown argument '--iteration' (did you mean '--iterations'?)"),
        (
            ["train", "gaussian", "--iterations", "many"],
            "argument --iterations: 'many' given; expected a whole number >= 1",
        ),
        (["train", "gaussian", "--seed", "-1"], "'-1' given; expected a whole number >= 0"),
        (["train", "gaussian", "--seed", "²"], "'²' given; expected a whole number >= 0"),
        (["train", "gaussian", "--seed", "٩"], "expected a whole number >= 0"),
        (
            ["train", "gaussian", "--seed", "9" * 5000],
            "expected a whole number >= 0, at most 9,223,372,036,854,775,807",
        ),
        (["train", "gaussian", "--iterations", "10000000000"], "a whole number >= 1, at most 1,000,000,000"),
        (["train", "gaussian", "--iterations", "--3"], "argument --iterations"),
        (["train", "gaussian", "--set", "iterations=10000000000"], "a whole number (of at most 1,000,000,000)"),
        (["train", "gaussian", "--set", "lr=nan"], "lr='nan'; expected a number (finite)"),
        (["train", "gaussian", "--set", "lr=-1"], "lr must be > 0, got -1"),
        (["train", "mnist-maxout", "--set", "lr_decay=nan"], "lr_decay='nan'; expected a number (finite)"),
        (["train", "mnist-maxout", "--set", "lr_decay=inf"], "lr_decay='inf'; expected a number (finite)"),
        (["train", "gaussian", "--set", "lr"], "--set 'lr'; expected KEY=VALUE"),
        (["train", "gaussian", "--set", "learning=1"], "unknown setting of gaussian 'learning'"),
        (["train", "gaussian", "--set", "lr=x"], "lr='x'; expected a number"),
        (["train", "gaussian", "--data", "digits"], "unknown setting of gaussian 'data'"),
        (["train", "mnist-dense", "--data", "minst"], "unknown data 'minst' (did you mean 'mnist'?)"),
        (["train", "gaussian", "--width", "4"], "unknown setting of gaussian 'width'"),
        (["train", "dcgan64", "--width", "3"], "width must divide 128, got 3"),
        (
            ["train", "dcgan64", "--wdith", "3"],
            "unknown argument '--wdith' (did you mean '--width'?); expected --help, --set",
        ),
        (["train", "gaussian", "--dtype", "float46"], "unknown dtype 'float46' (did you mean 'float64'?)"),
        (["train", "gaussian", "--ops", "gpu"], "unknown ops 'gpu'"),
        (["sweep", "gaussian", "--set", "lr=x"], "lr='x'; expected a number"),
    ],
)
def test_typos_are_answered_with_what_is_accepted(in_tmp, capsys, arguments, message):
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("--help,") <= 1
    assert not list(in_tmp.glob("runs/*/*"))  # no folder is created for a run that cannot start


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "gaussian", "--ops", "cuda"], "ops='cuda' is not available"),
        (["train", "mnist-dense", "--data-dir", "nowhere"], "nowhere/mnist/"),
        (["sample", "nowhere"], "nowhere: not a run folder"),
    ],
)
def test_what_cannot_run_here_says_why(in_tmp, capsys, monkeypatch, arguments, message):
    monkeypatch.delenv("MINIGAN_DATA", raising=False)
    status, _, err = run(capsys, *arguments)
    assert status == 1
    assert message in err
    assert not list(in_tmp.glob("runs/*/*"))


@pytest.mark.parametrize("command", [[], ["recipes"], ["summary"], ["train"], ["sweep"], ["sample"], ["evaluate"]])
def test_help(capsys, command):
    status, out, _ = run(capsys, *command, "--help")
    assert status == 0
    assert "exit status" in out


def test_the_help_of_evaluate_describes_the_classifier(capsys):
    words = " ".join(run(capsys, "evaluate", "--help")[1].split())
    for text in ("classifier is built from this library's layers", "with Adam", "~/.cache", "--classifier",
                 "Its test accuracy is printed"):  # fmt: skip
        assert text in words


def test_version(capsys):
    import minigan

    assert run(capsys, "--version")[1] == f"minigan {minigan.__version__}\n"


# --- failures while a command runs ------------------------------------------------------------------


def a_run(out, name="gaussian", *, settings=None, dtype="float32"):
    """A run folder without figures, which take longer than a short training."""
    recipe = get_recipe(name)
    experiment = recipe.build(
        recipe.configure(settings or {"iterations": 4, "batch_size": 20}), RunOptions(dtype=dtype)
    )
    experiment.figures.clear()
    assert train(experiment, folder=out)["status"] == "completed"


def raises(error):
    def command(_args):
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (OSError(13, "Permission denied", "there/x.npy"), 1, "minigan recipes: there/x.npy: Permission denied\n"),
        (OSError(28, "No space left on device"), 1, "minigan recipes: No space left on device\n"),
        (MemoryError("Unable to allocate 5 TiB"), 1, "minigan recipes: out of memory: Unable to allocate 5 TiB\n"),
        (KeyboardInterrupt(), 130, "minigan recipes: interrupted\n"),
        (ConfigError("lr=x; expected a number"), 2, "minigan recipes: lr=x; expected a number\n"),
        (BrokenPipeError(32, "Broken pipe"), 0, ""),
    ],
)
def test_what_the_machine_or_the_user_did_is_one_line(capsys, monkeypatch, error, status, message):
    monkeypatch.setitem(commands.COMMANDS, "recipes", raises(error))
    assert run(capsys, "recipes") == (status, "", message)


@pytest.mark.parametrize("error", [ValueError("operands could not be broadcast"), KeyError("x"), RuntimeError("bug")])
def test_a_bug_keeps_its_traceback(capsys, monkeypatch, error):
    monkeypatch.setitem(commands.COMMANDS, "recipes", raises(error))
    with pytest.raises(type(error)) as caught:
        main(["recipes"])
    assert caught.value is error


def test_ctrl_c_while_a_command_is_imported(capsys, monkeypatch):
    def import_module(name):
        raise KeyboardInterrupt

    monkeypatch.setattr("minigan.cli.import_module", import_module)
    assert run(capsys, "recipes") == (130, "", "minigan recipes: interrupted\n")


class TestFilesThatCannotBeWritten:
    @pytest.fixture
    def read_only(self, in_tmp, capsys, monkeypatch):
        """A run in a folder in which no file can be created."""
        a_run("run")

        def refuse(**options):
            raise PermissionError(13, "Permission denied", f"{options['dir']}/{options['prefix']}")

        monkeypatch.setattr("tempfile.mkstemp", refuse)

    def test_sample_into_a_read_only_run(self, read_only, capsys):
        assert run(capsys, "sample", "run") == (1, "", "minigan sample: run/samples-001.npy: Permission denied\n")

    def test_train_into_a_read_only_folder(self, read_only, capsys):
        status, out, err = run(capsys, "train", "gaussian", *SMALL, "--out", "new")
        assert (status, out) == (1, "")
        assert err == "minigan train: new: Permission denied\n"

    def test_sample_into_a_folder_that_is_not_there(self, in_tmp, capsys):
        a_run("run")
        status, out, err = run(capsys, "sample", "run", "--out", "nowhere/x.npy")
        assert (status, out, err) == (1, "", "minigan sample: nowhere/x.npy: No such file or directory\n")

    @pytest.mark.parametrize("command", ["train", "sweep"])
    def test_out_below_a_file(self, in_tmp, capsys, command):
        (in_tmp / "file").write_text("")
        status, _, err = run(capsys, command, "gaussian", *SMALL, "--out", "file/below")
        assert (status, err) == (1, f"minigan {command}: --out file/below: Not a directory\n")


class TestSample:
    def test_the_seed_is_the_noises(self, in_tmp, capsys):
        a_run("run")
        for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
            run(capsys, "sample", "run", "--seed", seed, "--out", f"{name}.npy")
        a, b, c = (np.load(f"{name}.npy") for name in "abc")
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()
        np.testing.assert_array_equal(c, runs.sample("run", n=40, seed=1))

    def test_x_is_g_of_the_priors_noise_in_the_runs_dtype(self, in_tmp, capsys):
        a_run("run", dtype="float64")
        p = read_arrays("run/generator.npz")
        assert p["0.W"].dtype == np.float64
        z = np.random.default_rng(7).standard_normal((30, 1))
        x = runs.sample("run", n=30, seed=7)
        assert x.dtype == np.float64
        np.testing.assert_allclose(x, z @ p["0.W"] + p["0.b"], rtol=1e-14)

    def test_running_statistics_are_those_of_the_run(self, in_tmp, capsys):
        pytest.importorskip("sklearn", reason="scikit-learn is not installed")
        a_run("run", "mnist-dense", settings={"data": "digits", "iterations": 1})
        before = runs.sample("run", n=5)
        stored = read_arrays("run/generator.npz")
        stored["2.running_mean"] = stored["2.running_mean"] + 1
        write_arrays("run/generator.npz", stored)
        assert np.abs(runs.sample("run", n=5) - before).max() > 1e-3

    @pytest.mark.parametrize("n", [0, -1])
    def test_errors(self, in_tmp, n):
        with pytest.raises(ValueError, match=f"n must be >= 1, got {n}"):
            runs.sample("run", n=n)

    def test_a_file_that_appears_meanwhile_is_not_overwritten(self, in_tmp, capsys, monkeypatch):
        a_run("run")
        (in_tmp / "x.npy").write_text("mine")
        monkeypatch.setattr("pathlib.Path.exists", lambda self: False)  # it did not exist when it was checked
        assert run(capsys, "sample", "run", "--out", "x.npy") == (1, "", "minigan sample: x.npy: File exists\n")
        assert (in_tmp / "x.npy").read_text() == "mine"


def test_a_wrong_number_of_threads_in_the_environment_is_wrong_usage(in_tmp, capsys, monkeypatch):
    from minigan.ops import _default_cpu

    monkeypatch.setenv("MINIGAN_THREADS", "two")
    _default_cpu.cache_clear()
    message = "MINIGAN_THREADS='two' in the environment; expected a whole number >= 1"
    assert run(capsys, "train", "gaussian", "--out", "run") == (2, "", f"minigan train: {message}\n")
    assert not (in_tmp / "run").exists()
