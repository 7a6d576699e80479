"""A run of `gaussian`: its folder, its summary, its random streams, and what a signal leaves of it."""

import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from small_runs import FILES, SMALL, lines, small

from minigan.runs import load_generator, train_recipe
from minigan.training import new_folder, random_streams, read_arrays, read_json, train


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
    assert config["blas"]  # NumPy's, and SciPy's if it is loaded
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
    """Compare mean and std of the samples with a and b, and the summary's V(D*) with a sum over a fine grid."""
    summary = train_recipe("gaussian", overrides=SMALL | {"iterations": "100"})
    a, b = summary["generator"]["a"], summary["generator"]["b"]
    # 6.1 standard errors of 100,000 samples: fails for one seed in 1e9
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


def stopped_by(number, folder, *, ignored=False):
    """Train, send a signal after some iterations, and SIGTERM if it is `ignored`; return exit status and output."""
    command = [sys.executable, "-m", "minigan", "train", "gaussian", "--iterations", "1000000", "--out", "run"]
    handler = signal.SIG_IGN if ignored else signal.SIG_DFL  # else the child inherits what `nohup make test` ignores
    metrics = folder / "run/metrics.jsonl"
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(number, handler),
    ) as process:  # fmt: skip
        try:
            reach(process, metrics, 2000)
            os.kill(process.pid, number)
            if ignored:
                reach(process, metrics, metrics.stat().st_size + 2000)
                assert process.poll() is None  # it goes on
                process.terminate()
            out, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, out


def reach(process, path, size):
    """Wait until a file has more than `size` bytes."""
    for _ in range(600):
        if process.poll() is not None or (path.exists() and path.stat().st_size > size):
            return
        time.sleep(0.1)


def test_under_nohup_a_closed_terminal_does_not_end_a_run(in_tmp):
    code, out = stopped_by(signal.SIGHUP, in_tmp, ignored=True)
    assert code == 130
    assert "interrupted after" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_leaves_a_complete_run_folder(in_tmp, number):
    code, out = stopped_by(number, in_tmp)
    assert code == 130
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
