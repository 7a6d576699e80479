"""The loop, its callbacks and the run folder."""

import io
import json
import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import minigan as mg
from minigan.recipes import Setting, get_recipe
from minigan.runs import load_generator, train_recipe
from minigan.training import (
    Callback,
    EarlyStop,
    Evaluate,
    ProgressBar,
    RunError,
    new_folder,
    random_streams,
    read_arrays,
    read_json,
    train,
    write_arrays,
    write_json,
)

SMALL = {"iterations": "6", "batch_size": "20", "frames": "3"}
FILES = {
    "config.json", "metrics.jsonl", "generator.npz", "discriminator.npz", "summary.json",
    "gaussian.png", "gaussian.gif", "figure_1.png", "losses.png",
}  # fmt: skip


def small(**settings):
    recipe = get_recipe("gaussian")
    return recipe.build(recipe.configure(SMALL | settings), Setting(seed=3))


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_run_folder_is_complete(in_tmp):
    summary = train_recipe("gaussian", settings=SMALL, seed=3)
    folder = in_tmp / "runs/gaussian/001"
    assert summary["folder"] == "runs/gaussian/001"
    assert {p.name for p in folder.iterdir()} == FILES
    stored = read_json(folder / "summary.json")
    assert {k: stored[k] for k in ("recipe", "seed", "status", "iterations")} == {
        "recipe": "gaussian", "seed": 3, "status": "completed", "iterations": 6
    }  # fmt: skip
    assert stored["seconds"] > 0
    assert set(stored["losses"]) == {"d_loss", "g_loss"}
    assert {"mean", "std"} <= set(stored["generator"])
    assert 0 <= stored["jsd"] <= math.log(2)
    assert stored["value_optimal"] == pytest.approx(-math.log(4) + 2 * stored["jsd"])
    assert stored["value"] <= stored["value_optimal"]
    metrics = lines(folder)
    assert [m["iteration"] for m in metrics] == [1, 2, 3, 4, 5, 6]
    assert metrics[-1]["jsd"] == stored["jsd"]
    assert metrics[-1] == {"iteration": 6, **stored["metrics"]}
    config = read_json(folder / "config.json")
    assert config["recipe"] == "gaussian"
    assert config["settings"]["batch_size"] == 20
    assert set(config["versions"]) == {"minigan", "numpy", "python"}


def test_the_stored_generator_is_the_trained_one(in_tmp):
    experiment = small()
    train(experiment, folder=new_folder("gaussian"))
    G, recipe, config = load_generator("runs/gaussian/001")
    assert recipe.name == "gaussian"
    assert config.batch_size == 20
    np.testing.assert_array_equal(G.theta, experiment.gan.G.theta)
    stored = read_arrays(in_tmp / "runs/gaussian/001/discriminator.npz")
    assert set(stored) == {"0.W", "0.b", "2.W", "2.b"}


def test_the_summarys_numbers_are_what_they_say(in_tmp):
    """Mean and std of the samples against a and b; V(D*) from the summary against a sum over a fine grid."""
    summary = train_recipe("gaussian", settings=SMALL | {"iterations": "100"})
    a, b = summary["generator"]["a"], summary["generator"]["b"]
    # 6.1 standard errors of 100,000 samples: fails once in 1e9 seeds
    assert abs(summary["generator"]["mean"] - b) <= 6.1 * abs(a) / math.sqrt(1e5)
    assert abs(summary["generator"]["std"] - abs(a)) <= 6.1 * abs(a) / math.sqrt(2e5)
    from scipy.stats import norm

    x = np.linspace(-30, 40, 700_001)
    p, q = norm(4, 2).pdf(x), norm(b, abs(a)).pdf(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        integrand = np.where(p > 0, p * np.log(p / (p + q)), 0) + np.where(q > 0, q * np.log(q / (p + q)), 0)
    assert summary["value_optimal"] == pytest.approx(np.trapezoid(integrand, x), abs=1e-9)


def test_one_seed_is_bit_identical_and_another_is_not(in_tmp):
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        train_recipe("gaussian", settings=SMALL, seed=seed, out=out)
    a, b, c = (read_arrays(in_tmp / out / "generator.npz") for out in "abc")
    assert all(a[k].tobytes() == b[k].tobytes() for k in a)
    assert (in_tmp / "a/metrics.jsonl").read_bytes() == (in_tmp / "b/metrics.jsonl").read_bytes()
    assert any(a[k].tobytes() != c[k].tobytes() for k in a)


def test_figures_and_evaluation_do_not_change_the_training(in_tmp):
    with_files, without = small(), small()
    train(with_files, folder=new_folder("gaussian"))
    train(without)
    assert with_files.gan.G.theta.tobytes() == without.gan.G.theta.tobytes()


class TestFolders:
    def test_numbers_go_on_and_nothing_is_overwritten(self, in_tmp):
        assert [new_folder("x").name for _ in range(3)] == ["001", "002", "003"]
        (in_tmp / "runs/x/007").mkdir()
        (in_tmp / "runs/x/notes").mkdir()
        assert new_folder("x").name == "008"

    def test_out_must_be_new_or_empty(self, in_tmp):
        (in_tmp / "empty").mkdir()
        assert new_folder("x", out="empty").name == "empty"
        (in_tmp / "full").mkdir()
        (in_tmp / "full/mine.txt").write_text("mine")
        with pytest.raises(RunError, match="--out full exists; accepted: a new or an empty folder"):
            new_folder("x", out="full")
        (in_tmp / "file").write_text("")
        with pytest.raises(RunError, match="--out file exists"):
            new_folder("x", out="file")
        with pytest.raises(RunError, match="--out file/below: Not a directory"):
            new_folder("x", out="file/below")
        assert new_folder("x", out="deep/er").is_dir()

    def test_a_failed_write_leaves_the_old_file_and_no_litter(self, in_tmp):
        write_json("a.json", {"x": 1})
        with pytest.raises(TypeError):
            write_json("a.json", {"x": object()})
        with pytest.raises(ValueError, match="allow_pickle=False"):
            write_arrays("b.npz", {"x": np.array([object()])})
        assert read_json("a.json") == {"x": 1}
        assert [p.name for p in in_tmp.iterdir()] == ["a.json"]

    def test_json_has_no_nan(self, in_tmp):
        write_json("a.json", {"x": math.nan, "y": np.float32(1.5), "z": [np.int64(2), math.inf]})
        assert json.loads((in_tmp / "a.json").read_text(), parse_constant=pytest.fail) == {
            "x": "nan", "y": 1.5, "z": [2, "inf"]
        }  # fmt: skip

    def test_a_damaged_run_says_which_file(self, in_tmp):
        with pytest.raises(RunError, match="nowhere: not a run folder: it has no config.json"):
            load_generator("nowhere")
        train_recipe("gaussian", settings=SMALL, out="run")
        weights = in_tmp / "run/generator.npz"
        whole = weights.read_bytes()
        weights.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(RunError, match=r"generator.npz: not a whole .npz file"):
            load_generator("run")
        write_arrays(weights, {"0.W": np.zeros((1, 1)), "1.W": np.zeros(2)})
        with pytest.raises(RunError, match=r"generator.npz: parameters do not fit.*missing '0.b'.*unexpected '1.W'"):
            load_generator("run")
        (in_tmp / "run/config.json").write_text('{"recipe": "gaussian"}')
        with pytest.raises(RunError, match=r"config.json: not the configuration of a run"):
            load_generator("run")
        (in_tmp / "run/config.json").write_text("{")
        with pytest.raises(RunError, match=r"config.json: Expecting"):
            load_generator("run")


class TestDivergence:
    def poisoned(self, at=4):
        experiment = small()
        play, count = experiment.play, iter(range(1, 100))

        def poison():
            played = play()
            if next(count) == at:
                experiment.gan.G.theta[...] = np.nan
                return played[0], mg.gan.Outcome(math.nan, None, played[1].s_fake)
            self.good = experiment.gan.G.theta.copy()
            return played

        experiment.play = poison
        return experiment

    def test_it_stops_keeps_the_last_good_parameters_and_says_why(self, in_tmp):
        experiment = self.poisoned()
        folder = new_folder("gaussian")
        summary = train(experiment, folder=folder)
        assert summary["status"] == "diverged"
        assert summary["iterations"] == 3
        assert summary["divergence"]["iteration"] == 4
        assert summary["divergence"]["quantity"] == "g_loss"
        assert "g_loss is nan at iteration 4" in summary["error"]
        assert "smaller learning rate" in summary["error"]
        np.testing.assert_array_equal(experiment.gan.G.theta, self.good)
        assert {p.name for p in folder.iterdir()} == FILES
        np.testing.assert_array_equal(read_arrays(folder / "generator.npz")["0.b"], self.good[1:])
        assert len(lines(folder)) == 3

    def test_a_real_divergence(self, in_tmp):
        summary = train_recipe("gaussian", settings=SMALL | {"lr": "1e25", "iterations": "50"}, out="run")
        assert summary["status"] == "diverged"
        stored = read_arrays(in_tmp / "run/generator.npz")
        assert all(np.isfinite(v).all() for v in stored.values())


class TestCallbacks:
    def test_evaluate_adds_to_the_metrics_of_its_iterations(self, in_tmp):
        experiment, folder = small(), new_folder("gaussian")
        train(experiment, folder=folder, callbacks=[Evaluate(lambda: {"seen": 1.0}, every=4)])
        assert [m["iteration"] for m in lines(folder) if "seen" in m] == [4, 6]

    def test_early_stop(self, in_tmp):
        values = iter([3.0, 2.0, 2.5, 2.5, 2.5])
        hooks = [Evaluate(lambda: {"seen": next(values)}, every=1), EarlyStop("seen", patience=2)]
        summary = train(small(), folder=new_folder("gaussian"), callbacks=hooks)
        assert (summary["status"], summary["iterations"]) == ("stopped early", 4)
        assert summary["reason"] == "seen was not below 2 in 2 measurements"

    def test_a_recipe_evaluates_and_stops_early(self, in_tmp):
        recipe = get_recipe("gaussian")
        settings = SMALL | {"iterations": "400", "evaluate_every": "2", "patience": "3", "lr": "0.05"}
        folder = new_folder("gaussian")
        summary = train(recipe.build(recipe.configure(settings)), folder=folder)
        assert summary["status"] == "stopped early"
        measured = [m["jsd"] for m in lines(folder) if "jsd" in m]
        assert len(measured) == summary["iterations"] // 2
        assert min(measured) < min(measured[-3:])
        assert min(measured) == measured[-4]

    def test_on_end_is_called_whatever_happens(self):
        ends = []

        class Fails(Callback):
            def on_iteration(self, run):
                raise RuntimeError("planted")

            def on_end(self, run):
                ends.append(run.iteration)

        with pytest.raises(RuntimeError, match="planted"):
            train(small(), callbacks=[Fails()])
        assert ends == [1]

    def test_log_lines_where_there_is_no_terminal(self):
        stream = io.StringIO()
        train(small(iterations="20"), callbacks=[ProgressBar(stream)])
        log = stream.getvalue().splitlines()
        assert len(log) == 10
        assert log[0].startswith("2 [D loss: ")

    def test_a_bar_on_a_terminal(self):
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        stream = Terminal()
        train(small(), callbacks=[ProgressBar(stream)])
        shown = stream.getvalue()
        for text in ("gaussian: 100%", "6/6", "D loss", "G loss", "D(x)", "D(G(z))", "acc", "<00:00"):
            assert text in shown

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: Evaluate(dict, every=0), "every must be >= 1, got 0"),
            (lambda: EarlyStop("x", patience=0), "patience must be >= 1, got 0"),
            (lambda: train(small(), iterations=0), "iterations must be >= 1, got 0"),
        ],
    )
    def test_errors(self, call, message):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_a_complete_run_folder(in_tmp, number):
    command = [sys.executable, "-m", "minigan", "train", "gaussian", "--iterations", "1000000", "--out", "run"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    metrics = in_tmp / "run/metrics.jsonl"
    for _ in range(600):
        if metrics.exists() and metrics.stat().st_size > 2000:
            break
        time.sleep(0.1)
    os.kill(process.pid, number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted after" in out
    assert {p.name for p in (in_tmp / "run").iterdir()} == FILES
    summary = read_json(in_tmp / "run/summary.json")
    assert summary["status"] == "interrupted"
    assert summary["iterations"] == len(lines(in_tmp / "run"))


def test_random_streams_are_independent_and_named():
    a, b, other = random_streams(0), random_streams(0), random_streams(1)
    draws = {name: rng.random() for name, rng in a.items()}
    assert draws == {name: rng.random() for name, rng in b.items()}
    assert len(set(draws.values())) == len(draws)
    assert all(rng.random() not in draws.values() for rng in other.values())
    for seed in (-1, 1.5, True, "0"):
        with pytest.raises(ValueError, match="seed must be an int >= 0"):
            random_streams(seed)
