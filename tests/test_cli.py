"""The command line: what a user types, with and without a typo."""

import json

import numpy as np
import pytest

from minigan.cli import main
from minigan.training import read_json

SMALL = ["--iterations", "4", "--set", "batch_size=20", "--set", "frames=2"]


def run(capsys, *arguments):
    """Exit status, standard output, standard error."""
    try:
        status = main(list(arguments))
    except SystemExit as left:
        status = left.code
    return (status, *capsys.readouterr())


def test_recipes_is_a_table(capsys):
    status, out, _ = run(capsys, "recipes")
    assert status == 0
    assert "mnist-dense          244,368     536,577  S1" in out
    assert len(out.splitlines()) == 4


def test_summary(capsys):
    status, out, _ = run(capsys, "summary", "mnist-maxout")
    assert status == 0
    for text in ("total 2,503,984", "total 1,231,441", "1 Maxout", "momentum_final = 0.7"):
        assert text in out


def test_summary_with_a_setting(capsys):
    _, out, _ = run(capsys, "summary", "gaussian", "--set", "hidden=20")
    assert "total 61" in out


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
    assert "minigan train: --out mine exists; accepted: a new or an empty folder" in err
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
    assert (status, out) == (0, "run/drawn-001.png\n")
    from PIL import Image

    with Image.open(in_tmp / "run/drawn-001.png") as sheet:
        assert sheet.size == ((10 * 30 - 2) * 2, (2 * 30 - 2) * 2)
    assert run(capsys, "sample", "run", "--out", "x.npy")[0] == 0
    assert np.load(in_tmp / "x.npy").shape == (40, 784)


def test_sample_a_gaussian(in_tmp, capsys):
    run(capsys, "train", "gaussian", *SMALL, "--out", "run")
    status, out, _ = run(capsys, "sample", "run", "--n", "1000", "--seed", "5")
    assert status == 0
    x = np.load(in_tmp / "run/drawn-001.npy")
    assert x.shape == (1000, 1)
    assert f"1000 samples: mean {x.mean(dtype=float):.4f}, std {x.std(dtype=float):.4f}" in out
    assert "run/drawn-002.npy" in run(capsys, "sample", "run")[1]
    for out_file, message in (("run/drawn-001.npy", "exists; accepted: a new file"), ("a.png", "ending in .npy"),
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
            "argument --iterations: 'many' given; accepted: a whole number >= 1",
        ),
        (["train", "gaussian", "--seed", "-1"], "'-1' given; accepted: a whole number >= 0"),
        (["train", "gaussian", "--set", "lr"], "--set 'lr'; accepted: KEY=VALUE"),
        (["train", "gaussian", "--set", "learning=1"], "unknown setting of gaussian 'learning'"),
        (["train", "gaussian", "--set", "lr=x"], "lr='x'; accepted: a number"),
        (["train", "gaussian", "--data", "digits"], "unknown setting of gaussian 'data'"),
        (["train", "mnist-dense", "--data", "minst"], "unknown data 'minst' (did you mean 'mnist'?)"),
        (["train", "gaussian", "--dtype", "float46"], "unknown dtype 'float46' (did you mean 'float64'?)"),
        (["train", "gaussian", "--ops", "gpu"], "unknown ops 'gpu'"),
        (["sweep", "gaussian", "--set", "lr=x"], "lr='x'; accepted: a number"),
    ],
)
def test_typos_are_answered_with_what_is_accepted(in_tmp, capsys, arguments, message):
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert not list(in_tmp.glob("runs/*/*"))  # nothing is made for a run that cannot start


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


@pytest.mark.parametrize("command", [[], ["recipes"], ["summary"], ["train"], ["sweep"], ["sample"]])
def test_help(capsys, command):
    status, out, _ = run(capsys, *command, "--help")
    assert status == 0
    assert "exit status" in out


def test_version(capsys):
    import minigan

    assert run(capsys, "--version")[1] == f"minigan {minigan.__version__}\n"
