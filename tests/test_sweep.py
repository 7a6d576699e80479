"""Sweeps: checks before they start, results kept after an interruption, arguments passed to the runs."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest

import minigan
from minigan import runs
from minigan.cli import main
from minigan.data import DataError
from minigan.recipes import get_recipe
from minigan.training import RunError, read_json, train, workers

SMALL = {"iterations": 4, "batch_size": 20, "frames": 2}


@pytest.fixture
def in_turn(monkeypatch):
    """Run sweeps in this process, one seed after the other.  Returns the calls of `train_recipe`."""
    calls = []

    def train_here(one, seeds, *, workers, on_seed_end):
        for seed in range(seeds):
            on_seed_end(one(seed))

    def train_recipe(name, **options):
        calls.append(options)
        return {"seed": options["seed"], "status": "completed", "jsd": float(options["seed"])}

    monkeypatch.setattr(runs.seeds, "train_in_workers", train_here)
    monkeypatch.setattr(runs.seeds, "train_recipe", train_recipe)
    return calls


class TestBeforeItStarts:
    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"seeds": 0}, ValueError, "seeds must be an int >= 1, got 0"),
            ({"seeds": 2.0}, ValueError, "seeds must be an int >= 1, got 2.0"),
            ({"seeds": True}, ValueError, "seeds must be an int >= 1, got True"),
            ({"workers": 0}, ValueError, "workers must be an int >= 1, got 0"),
            ({"dtype": "float46"}, ValueError, "unknown dtype 'float46' .did you mean 'float64'"),
            ({"ops": "gpu"}, ValueError, "unknown ops 'gpu'"),
            ({"ops": "cuda"}, minigan.BackendUnavailable, "ops='cuda' is not available"),
            ({"overrides": {"lr": "x"}}, ValueError, "lr='x'; expected a number"),
            ({"overrides": {"lr": -1}}, ValueError, "lr must be > 0"),
            ({"iterations": 5}, TypeError, "unexpected keyword argument 'iterations'"),
        ],
    )
    def test_arguments_are_checked(self, in_tmp, in_turn, options, error, message):
        with pytest.raises(error, match=message):
            runs.sweep("gaussian", **{"seeds": 2, "folder": True, **options})
        assert in_turn == []
        assert [path for path in in_tmp.iterdir() if path.name != "home"] == []

    def test_missing_data_is_said_once(self, in_tmp, in_turn, monkeypatch):
        monkeypatch.delenv("MINIGAN_DATA", raising=False)
        with pytest.raises(DataError, match="train-images-idx3-ubyte.gz"):
            runs.sweep("mnist-dense", seeds=3, data_dir="nowhere", folder=True)
        assert in_turn == []
        assert [path for path in in_tmp.iterdir() if path.name != "home"] == []


class TestWhatIsWritten:
    def test_everything_that_the_runs_depend_on(self, in_tmp, in_turn):
        swept = runs.sweep("gaussian", seeds=2, overrides=SMALL, dtype="float64", ops="reference", out="s", folder=True)
        stored = read_json("s/sweep.json")
        assert stored["settings"] == vars(get_recipe("gaussian").configure(SMALL))
        assert {k: stored[k] for k in ("recipe", "dtype", "ops", "seeds", "status", "runs", "failures")} == {
            "recipe": "gaussian", "dtype": "float64", "ops": "reference",
            "seeds": 2, "status": "completed", "runs": 2, "failures": 0,
        }  # fmt: skip
        assert stored["versions"]["minigan"] == minigan.__version__
        assert stored["table"]["jsd"] == {"mean": 0.5, "std": pytest.approx(0.5**0.5), "min": 0, "max": 1}
        assert str(swept.path) == "s/sweep.json"

    def test_the_folder_is_taken_before_the_work(self, in_tmp, in_turn, monkeypatch):
        begun = []
        one = runs.seeds.train_recipe
        monkeypatch.setattr(
            runs.seeds, "train_recipe", lambda *a, **k: begun.append(read_json("s/sweep.json")) or one(*a, **k)
        )
        runs.sweep("gaussian", seeds=1, out="s", folder=True)
        assert (begun[0]["status"], begun[0]["runs"]) == ("interrupted", 0)
        with pytest.raises(RunError, match="s exists; expected a new or an empty folder"):
            runs.sweep("gaussian", seeds=1, out="s", folder=True)

    def test_what_was_finished_before_an_error(self, in_tmp, in_turn):
        def fail(summary):
            if summary["seed"] == 1:
                raise RuntimeError("planted")

        with pytest.raises(RuntimeError, match="planted"):
            runs.sweep("gaussian", seeds=3, folder=True, on_seed_end=fail)
        stored = read_json("runs/gaussian-sweep/001/sweep.json")
        assert (stored["status"], stored["runs"]) == ("interrupted", 2)

    @pytest.mark.parametrize("there", [False, True])
    def test_nothing_is_left_where_nothing_was_finished(self, in_tmp, in_turn, monkeypatch, there):
        """A folder that existed before still exists, and is empty."""

        def die(*_, **__):
            raise RunError("planted")

        monkeypatch.setattr(runs.seeds, "train_in_workers", die)
        if there:
            (in_tmp / "s").mkdir()
        with pytest.raises(RunError, match="planted"):
            runs.sweep("gaussian", seeds=3, out="s", folder=True)
        assert [p.name for p in in_tmp.rglob("*")] == ["s"] * there

    def test_nothing_is_written_unless_asked_for(self, in_tmp, in_turn):
        assert runs.sweep("gaussian", seeds=1).path is None
        assert [path for path in in_tmp.iterdir() if path.name != "home"] == []


def test_options_reach_the_runs(in_tmp, in_turn, capsys):
    line = "sweep gaussian --seeds 2 --dtype float64 --ops reference --data-dir there --set lr=0.5 --iterations 7"
    assert main(line.split()) == 0
    assert [call["seed"] for call in in_turn] == [0, 1]
    for call in in_turn:
        assert (call["dtype"], call["ops"], call["data_dir"], call["folder"]) == (
            "float64",
            "reference",
            "there",
            False,
        )
        assert (call["overrides"]["lr"], call["overrides"]["iterations"]) == (0.5, 7)
        assert [type(hook) for hook in call["callbacks"]] == [workers.StopOnEvent]


def test_a_seed_is_trained_as_it_is_alone(in_tmp):
    options = {"overrides": SMALL, "dtype": "float64", "ops": "reference"}
    swept = runs.sweep("gaussian", seeds=2, workers=2, **options)
    assert swept.status == "completed"
    for seed in range(2):
        alone = runs.train_recipe("gaussian", seed=seed, folder=False, **options)
        assert swept.summaries[seed]["generator"] == alone["generator"]


def test_early_stop_does_not_need_a_folder(in_tmp):
    """Evaluation and early stop are part of the training, figures are not."""
    settings = {"iterations": 60, "batch_size": 20, "lr": 0.05, "patience": 3, "evaluate_every": 2, "frames": 2}
    with_folder = runs.train_recipe("gaussian", seed=3, overrides=settings, out="run")
    without = runs.train_recipe("gaussian", seed=3, overrides=settings, folder=False)
    swept = runs.sweep("gaussian", seeds=4, overrides=settings).summaries[3]
    assert with_folder["status"] == "stopped early"
    assert with_folder["iterations"] < 60
    for other in (without, swept):
        assert other["iterations"] == with_folder["iterations"]
        assert other["metrics"] == with_folder["metrics"]
        assert "jsd" in other["metrics"]


def test_a_training_stops_when_told(monkeypatch):
    monkeypatch.setattr(workers, "_stop", threading.Event())
    recipe = get_recipe("gaussian")
    build = lambda: recipe.build(recipe.configure(SMALL))  # noqa: E731
    assert train(build(), callbacks=[workers.StopOnEvent()])["status"] == "completed"
    workers._stop.set()
    summary = train(build(), callbacks=[workers.StopOnEvent()])
    assert (summary["status"], summary["iterations"]) == ("interrupted", 1)


# --- in a worker ------------------------------------------------------------------------------------


def some_raise(seed):
    if seed == 1:
        raise ValueError("planted")
    return {"seed": seed, "status": "completed"}


def some_die(seed):
    if seed >= 1:
        os._exit(1)
    return {"seed": seed, "status": "completed"}


def all_die(seed):
    os._exit(1)


class TestWorkers:
    def test_what_a_run_raises_is_its_failure(self):
        found = []
        workers.train_in_workers(some_raise, 3, workers=1, on_seed_end=found.append)
        assert sorted((s["seed"], s["status"], s.get("error")) for s in found) == [
            (0, "completed", None), (1, "failed", "ValueError: planted"), (2, "completed", None)
        ]  # fmt: skip

    def test_a_worker_that_dies(self):
        found = []
        workers.train_in_workers(some_die, 3, workers=1, on_seed_end=found.append)
        assert sorted((s["seed"], s["status"]) for s in found) == [(0, "completed"), (1, "failed"), (2, "failed")]
        assert "if memory ran out, use fewer workers" in found[-1]["error"]

    def test_workers_that_die_at_once(self):
        with pytest.raises(RunError, match="below `if __name__ == '__main__':`"):
            workers.train_in_workers(all_die, 2, workers=2, on_seed_end=print)

    def test_a_pool_that_breaks_while_it_is_filled(self, monkeypatch):
        def broken(*_):
            raise BrokenProcessPool("planted")

        monkeypatch.setattr(ProcessPoolExecutor, "submit", broken)
        with pytest.raises(RunError, match="a worker process died"):
            workers.train_in_workers(some_raise, 2, workers=1, on_seed_end=print)

    def test_a_script_without_a_guard(self, in_tmp):
        # The tracebacks of workers and script share standard error, so the script writes its exception to a file.
        script = in_tmp / "script.py"
        script.write_text(
            "from pathlib import Path\n"
            "from multiprocessing import parent_process\n"
            "from minigan.runs import RunError, sweep\n"
            "try:\n"
            "    sweep('gaussian', seeds=2, overrides={'iterations': 3})\n"
            "except RunError as error:\n"
            "    if parent_process() is None:\n"
            "        Path('told').write_text(str(error))\n"
            "    raise\n"
        )
        done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 1
        assert "a worker process died" in Path("told").read_text()


# --- Ctrl-C ---------------------------------------------------------------------------------------


def stop_a_sweep(when, *, iterations, send, out="s"):
    """Start `minigan sweep`, send a signal once `when(standard error)` is true; return status, output and errors."""
    command = [
        sys.executable, "-m", "minigan", "sweep", "gaussian", "--seeds", "40", "--workers", "2", "--out", out,
        "--iterations", str(iterations), "--set", "batch_size=20", "--set", "frames=2",
    ]  # fmt: skip
    errors_so_far = Path("err")
    with errors_so_far.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True)
    for _ in range(600):
        if process.poll() is not None or when(errors_so_far.read_text()):
            break
        time.sleep(0.05)
    send(process.pid)
    shown, _ = process.communicate(timeout=60)
    return process.returncode, shown, errors_so_far.read_text()


def ctrl_c(pid):
    os.killpg(pid, signal.SIGINT)  # as a terminal does: also to the workers


def terminate(pid):
    os.kill(pid, signal.SIGTERM)


@pytest.mark.parametrize("send", [ctrl_c, terminate])
class TestInterrupts:
    def test_what_was_finished_is_kept(self, in_tmp, send):
        status, shown, errors = stop_a_sweep(lambda err: err.count("completed") >= 2, iterations=200, send=send)
        assert status == 130
        assert "Traceback" not in errors
        stored = read_json("s/sweep.json")
        assert stored["status"] == "interrupted"
        assert 2 <= stored["runs"] < stored["seeds"] == 40
        assert errors.count("completed") == stored["runs"] == len(stored["summaries"])
        assert all(s["status"] == "completed" and s["iterations"] == 200 for s in stored["summaries"])
        assert np.isfinite(stored["table"]["jsd"]["mean"])
        assert f"interrupted: {40 - stored['runs']} of 40 seeds are missing" in shown

    def test_nothing_is_left_of_a_sweep_that_finished_nothing(self, in_tmp, send):
        def begun(_):
            time.sleep(1)
            return (in_tmp / "s").exists()

        status, _, errors = stop_a_sweep(begun, iterations=10**9, send=send)
        assert status == 130
        assert "Traceback" not in errors
        assert not (in_tmp / "s").exists()
