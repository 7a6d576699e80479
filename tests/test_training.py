"""The loop, its callbacks and the run folder."""

import importlib
import io
import json
import math
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import minigan as mg
from minigan.recipes import RunOptions, get_recipe
from minigan.runs import load_generator, train_recipe
from minigan.training import (
    Callback,
    EarlyStop,
    Evaluate,
    Experiment,
    ProgressBar,
    RunError,
    create_run,
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
    return recipe.build(recipe.configure(SMALL | settings), RunOptions(seed=3))


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_run_folder_is_complete(in_tmp):
    summary = train_recipe("gaussian", overrides=SMALL, seed=3)
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
    assert [layer["layer"] for layer in config["networks"]["D"]] == ["Dense", "ReLU", "Dense"]
    assert config["networks"]["G"] == small().gan.G.to_config()
    from threadpoolctl import threadpool_info

    used = [found for found in threadpool_info() if found["user_api"] == "blas"]
    named = {(found["internal_api"], found["version"], found["num_threads"]) for found in used}
    assert config["blas"]  # NumPy's; SciPy's too where it was loaded by then
    assert {(b["name"], b["version"], b["threads"]) for b in config["blas"]} <= named
    assert all(set(b) == {"name", "version", "architecture", "threads"} for b in config["blas"])


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
    summary = train_recipe("gaussian", overrides=SMALL | {"iterations": "100"})
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
        train_recipe("gaussian", overrides=SMALL, seed=seed, out=out)
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
        for name in ("notes", "²", "٩"):  # ² is a digit to Python, and ٩ (9) a decimal: neither is a number of ours
            (in_tmp / "runs/x" / name).mkdir()
        assert new_folder("x").name == "008"

    def test_a_number_that_another_process_took_is_passed_over(self, in_tmp, monkeypatch):
        (in_tmp / "runs/x/001").mkdir(parents=True)
        monkeypatch.setattr(Path, "iterdir", lambda self: iter(()))  # what was there before the other one
        assert [new_folder("x").name for _ in range(2)] == ["002", "003"]

    def test_many_at_once_get_a_folder_each(self, in_tmp):
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda _: new_folder("x").name, range(40)))
        assert sorted(made) == [f"{n:03d}" for n in range(1, 41)]

    def test_out_must_be_new_or_empty(self, in_tmp):
        (in_tmp / "empty").mkdir()
        assert new_folder("x", out="empty").name == "empty"
        (in_tmp / "full").mkdir()
        (in_tmp / "full/mine.txt").write_text("mine")
        with pytest.raises(RunError, match="out=full exists; expected a new or an empty folder"):
            new_folder("x", out="full")
        (in_tmp / "file").write_text("")
        with pytest.raises(RunError, match="out=file exists"):
            new_folder("x", out="file")
        with pytest.raises(RunError, match="out=file/below: Not a directory"):
            new_folder("x", out="file/below")
        assert new_folder("x", out="deep/er").is_dir()

    def test_a_run_folder_may_be_any_path(self, in_tmp):
        class Named(os.PathLike):
            def __fspath__(self):
                return "named"

        for folder in ("text", Path("path"), Named()):
            experiment = small()
            experiment.figures.clear()
            assert train(experiment, folder=folder)["status"] == "completed"
        for name in ("text", "path", "named"):
            assert {p.name for p in (in_tmp / name).iterdir()} == {n for n in FILES if not n.endswith(("png", "gif"))}

    def test_a_run_is_not_trained_over(self, in_tmp):
        train(normalised(), folder="run")
        before = {p.name: p.read_bytes() for p in (in_tmp / "run").iterdir()}
        with pytest.raises(RunError, match="run exists and is not empty; expected a new or an empty folder"):
            train(small(iterations="2"), folder="run")
        assert {p.name: p.read_bytes() for p in (in_tmp / "run").iterdir()} == before
        (in_tmp / "file").write_text("mine")
        with pytest.raises(RunError, match="file exists and is not empty"):
            train(small(), folder="file")
        with pytest.raises(RunError, match="file/below: Not a directory"):
            train(small(), folder="file/below")

    @pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
    def test_of_those_who_claim_one_folder_one_gets_it(self, in_tmp, monkeypatch, links):
        def no_link(*_):
            raise PermissionError(1, "Operation not permitted")

        if not links:
            monkeypatch.setattr(os, "link", no_link)
        monkeypatch.setattr(Path, "iterdir", lambda self: iter(()))  # each looked before any had written

        def take(number):
            try:
                return create_run("run", "config.json", {"number": number}) and number
            except RunError:
                return None

        with ThreadPoolExecutor(8) as pool:
            (winner,) = [number for number in pool.map(take, range(40)) if number is not None]
        assert read_json("run/config.json") == {"number": winner}
        assert os.listdir("run") == ["config.json"]

    def test_files_are_as_readable_as_any_other(self, in_tmp):
        for mask, mode in ((0o022, 0o644), (0o027, 0o640)):
            before = os.umask(mask)
            try:
                path = write_json("a.json", {})
                assert os.umask(mask) == mask
            finally:
                os.umask(before)
            assert path.stat().st_mode & 0o777 == mode

    def test_a_folder_that_is_not_there_is_named(self, in_tmp):
        with pytest.raises(FileNotFoundError) as caught:
            write_json("nowhere/a.json", {})
        assert caught.value.filename == "nowhere/a.json"

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
        train_recipe("gaussian", overrides=SMALL, out="run")
        weights = in_tmp / "run/generator.npz"
        whole = weights.read_bytes()
        weights.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(RunError, match=r"generator.npz: not a whole .npz file"):
            load_generator("run")
        weights.write_text("no archive")
        with pytest.raises(RunError, match=r"generator.npz: not a whole .npz file \(it does not begin as one\)"):
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


def normalised(*, D_state=1.0, lr=0.01):
    """An experiment whose players have batch norm; in iteration 3 D's first running variance times `D_state`."""
    streams = random_streams(0)
    G = mg.Network([mg.Dense(2, 3), mg.BatchNorm(3), mg.ReLU(), mg.Dense(3, 1)], rng=streams["weights_G"])
    D = mg.Network([mg.Dense(1, 3), mg.BatchNorm(3), mg.ReLU(), mg.Dense(3, 1)], rng=streams["weights_D"])
    gan = mg.GAN(G, D, mg.SGD(G, lr=lr), mg.SGD(D, lr=lr), mg.NonSaturating())
    data, noise, count = streams["data"], streams["noise"], iter(range(1, 100))

    def play():
        played = mg.alternating(gan, lambda: data.normal(4, 2, (8, 1)), lambda: noise.standard_normal((8, 2)))
        if next(count) == 3:
            D.state["1.running_var"][...] *= D_state
        return played

    return Experiment("normalised", gan, play, 5, streams, {"seed": 0})


class TestDivergence:
    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_every_loss_that_is_not_finite_diverges(self, value):
        experiment = small()
        play = experiment.play

        def wrong():
            played = play()
            return played[0], mg.gan.StepResult(value, None, played[1].logits_fake)

        experiment.play = wrong
        summary = train(experiment)
        assert (summary["status"], summary["iterations"]) == ("diverged", 0)
        assert f"g_loss is {value} at iteration 1" in summary["error"]

    def test_parameters_are_looked_at_after_the_last_update(self, in_tmp):
        """One update, at a rate that float32 does not hold: the losses, taken before it, are fine."""
        pytest.importorskip("sklearn", reason="scikit-learn is not installed")
        settings = {"data": "digits", "lr": "1e39", "batch_size": "20", "iterations": "1"}
        summary = train_recipe("mnist-maxout", overrides=settings, out="run")
        assert (summary["status"], summary["iterations"]) == ("diverged", 0)
        assert summary["divergence"]["quantity"] in ("a parameter of G", "a parameter of D")
        assert not np.isfinite(float(summary["divergence"]["value"]))
        for name in ("generator", "discriminator"):
            assert all(np.isfinite(v).all() for v in read_arrays(in_tmp / f"run/{name}.npz").values())

    def test_running_statistics_are_looked_at_and_come_back(self, in_tmp):
        same = normalised()
        train(same, iterations=2)
        experiment = normalised(D_state=math.inf)
        summary = train(experiment, folder="run")
        assert (summary["status"], summary["iterations"]) == ("diverged", 2)
        assert summary["divergence"] == {"iteration": 3, "quantity": "1.running_var of D", "value": math.inf}
        for net, name in ((same.gan.G, "generator"), (same.gan.D, "discriminator")):
            stored = read_arrays(in_tmp / f"run/{name}.npz")
            assert set(stored) == {*net.parameters(), *net.state}
            for key, value in {**net.parameters(), **net.state}.items():
                np.testing.assert_array_equal(stored[key], value)

    def test_an_older_pullback_refuses_after_the_parameters_came_back(self):
        experiment = normalised(D_state=math.inf)
        play, pullbacks = experiment.play, {}

        def watched():
            played = play()
            for net, width in ((experiment.gan.G, 2), (experiment.gan.D, 1)):
                pullbacks[width] = net.forward(np.ones((4, width)), train=True)[1]
            return played

        experiment.play = watched
        assert train(experiment)["status"] == "diverged"
        for pullback in pullbacks.values():
            with pytest.raises(mg.StaleBackwardError):
                pullback(np.ones((4, 1), dtype="float32"))

    def poisoned(self, at=4):
        experiment = small()
        play, count = experiment.play, iter(range(1, 100))

        def poison():
            played = play()
            if next(count) == at:
                experiment.gan.G.theta[...] = np.nan
                return played[0], mg.gan.StepResult(math.nan, None, played[1].logits_fake)
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
        summary = train_recipe("gaussian", overrides=SMALL | {"lr": "1e25", "iterations": "50"}, out="run")
        assert summary["status"] == "diverged"
        stored = read_arrays(in_tmp / "run/generator.npz")
        assert all(np.isfinite(v).all() for v in stored.values())


class Terminal(io.StringIO):
    def isatty(self):
        return True


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

    def test_an_equal_value_is_not_smaller(self):
        hooks = [Evaluate(lambda: {"seen": 2.0}, every=1), EarlyStop("seen", patience=2)]
        assert train(small(), callbacks=hooks)["iterations"] == 3

    def test_metrics_may_be_numpys_numbers_or_not_finite(self, in_tmp):
        numbers = {"a": np.float32(0.5), "b": np.int64(3), "c": math.nan, "d": np.array([1, 2])}
        summary = train(normalised(), folder="run", callbacks=[Evaluate(lambda: numbers, every=5)])
        assert summary["status"] == "completed"
        want = {"a": 0.5, "b": 3, "c": "nan", "d": [1, 2]}
        assert lines(in_tmp / "run")[-1].items() >= want.items()
        assert read_json("run/summary.json")["metrics"].items() >= want.items()

    def test_metrics_are_not_written_over_a_file_that_is_there(self, in_tmp):
        class Other(Callback):
            def on_start(self, run):
                (run.folder / "metrics.jsonl").write_text("another's")

        with pytest.raises(FileExistsError):
            train(small(), folder="run", callbacks=[Other()])
        assert (in_tmp / "run/metrics.jsonl").read_text() == "another's"

    def test_warnings_are_off_in_the_game_only(self):
        seen = {}

        class Watch(Callback):
            def on_start(self, run):
                seen["start"] = np.geterr()["over"]

            def on_iteration(self, run):
                seen["iteration"] = np.geterr()["over"]

            def on_end(self, run):
                seen["end"] = np.geterr()["over"]

        experiment = small()
        play = experiment.play
        experiment.play = lambda: seen.update(play=np.geterr()["over"]) or play()
        with np.errstate(over="raise"):
            train(experiment, callbacks=[Watch()])
        assert seen == {"start": "raise", "play": "ignore", "iteration": "raise", "end": "raise"}

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

    def test_a_bar_ends_where_the_training_does(self):
        stream = Terminal()
        hooks = [Evaluate(lambda: {"seen": 2.0}, every=1), EarlyStop("seen", patience=4), ProgressBar(stream)]
        train(small(iterations="1000"), callbacks=hooks)
        assert "5/1000" in stream.getvalue()

    @pytest.mark.parametrize("kind", [io.StringIO, lambda: Terminal()], ids=["log", "bar"])
    @pytest.mark.parametrize("good", [0, 1, 3])
    def test_a_stream_that_breaks_is_given_up(self, kind, good):
        stream = kind()
        write, left = stream.write, iter(range(good))

        def broken(text):
            if next(left, None) is None:
                raise BrokenPipeError(32, "Broken pipe")
            return write(text)

        stream.write = broken
        assert train(small(iterations="20"), callbacks=[ProgressBar(stream)])["status"] == "completed"

    @pytest.mark.parametrize("kind", [io.StringIO, lambda: Terminal()], ids=["log", "bar"])
    def test_a_closed_stream_is_given_up(self, kind):
        stream = kind()
        stream.close()
        assert train(small(), callbacks=[ProgressBar(stream)])["status"] == "completed"

    def test_no_standard_error(self, monkeypatch, capsys):
        monkeypatch.setattr(sys, "stderr", None)
        assert train(small(), callbacks=[ProgressBar()])["status"] == "completed"
        assert capsys.readouterr().out == ""

    def test_the_bar_says_that_a_kernel_is_compiled_and_nothing_else_does(self, capsys):
        """By a fake event of numba's; compilations of other packages are not ours."""
        event = pytest.importorskip("numba.core.event")
        importlib.import_module("minigan.ops.cpu.kernels.numba.jit")
        bar, log = Terminal(), io.StringIO()

        class Compiles(Callback):
            def on_iteration(self, run):
                for module, name in (("minigan.ops.cpu.kernels.numba.norm_act", "apply"), ("other.package", "theirs")):
                    function = SimpleNamespace(__module__=module, __name__=name)
                    data = {"dispatcher": SimpleNamespace(py_func=function)}
                    with event.trigger_event("numba:compile", data=data):
                        pass

        for stream in (bar, log):
            train(small(), callbacks=[ProgressBar(stream), Compiles()])
        before = bar.getvalue()
        assert "compiling apply (once; kept on disk)" in before
        assert "theirs" not in before
        assert "compiling" not in log.getvalue()
        Compiles().on_iteration(None)  # the training is over
        assert bar.getvalue() == before
        assert capsys.readouterr() == ("", "")

    def test_a_bar_on_a_terminal(self):
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
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
