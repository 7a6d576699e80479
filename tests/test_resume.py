"""A resumed run equals an uninterrupted one bit for bit; runs that cannot be resumed are refused."""

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from minigan import data
from minigan.recipes import RECIPES, RunOptions, get_recipe
from minigan.runs import resume_run, train_recipe
from minigan.training import Callback, EarlyStop, RunError, read_json, resume, train
from minigan.training.checkpoint import Checkpoints, read_checkpoint, write_checkpoint

TINY = {  # an odd number of iterations, past the end of an epoch where there are epochs
    "gaussian": {"iterations": 7, "batch_size": 20, "frames": 3, "evaluate_every": 2, "patience": 100},
    "mnist-dense": {"iterations": 5, "batch_size": 20, "sample_every": 2},
    "mnist-maxout": {"iterations": 5, "batch_size": 20, "sample_every": 2},
    "mnist-dcgan": {"iterations": 3, "batch_size": 2, "latent": 2, "sample_every": 2},
    "mnist-softmax": {"iterations": 3, "batch_size": 4, "pretrain": 8, "latent": 4, "depth": 8, "d_depth": 2},
    "mnist-conditional": {
        "iterations": 5,
        "batch_size": 6,
        "latent": 3,
        "channels": 2,
        "features": 4,
        "sample_every": 2,
        "label_samples": 20,
    },
    "mnist-wgan-gp": {
        "iterations": 5,
        "batch_size": 7,
        "d_updates": 2,
        "latent": 3,
        "dim": 2,
        "penalty_every": 3,
        "sample_every": 2,
    },
    "stacked-mnist": {
        "iterations": 5,
        "batch_size": 6,
        "stacks": 20,
        "latent": 3,
        "channels": 2,
        "sample_every": 2,
        "count_every": 0,  # without a classifier; tests/test_stacked_recipe.py counts
        "final_samples": 0,
    },
    "mnist-fast": {
        "iterations": 7,
        "batch_size": 6,
        "latent": 3,
        "channels_G": 2,
        "channels_D": 2,
        "features": 4,
        "penalty_every": 3,
        "sample_every": 2,
    },
    "dcgan64": {"iterations": 5, "batch_size": 20, "latent": 4, "width": 16, "sample_every": 3},
    "cyclegan-toy": {"iterations": 7, "batch_size": 3, "pool": 5, "sample_every": 3},
    "ring8": {"iterations": 7, "batch_size": 6, "hidden": 4, "frames": 3, "evaluate_every": 2},
    "grid25": {"iterations": 7, "batch_size": 6, "hidden": 4, "frames": 3, "evaluate_every": 2},
}
SMALL = TINY["gaussian"]


@pytest.fixture
def images(monkeypatch):
    """Sixty random images that image recipes load as MNIST."""
    rng = np.random.default_rng(0)
    fake = data.Images("mnist", rng.integers(0, 256, (60, 28, 28, 1)).astype(np.uint8), np.zeros(60, np.uint8))
    monkeypatch.setattr("minigan.recipes.images.load", lambda name, split, data_dir=None: fake)


class Dies(Callback):
    def __init__(self, iteration, do=None):
        self.iteration, self.do = iteration, do

    def on_iteration(self, run):
        if run.iteration == self.iteration:
            if self.do is None:
                raise RuntimeError("planted")
            self.do()


def build(name="gaussian", *, slow=(), **settings):
    """An experiment without the figures, which take seconds."""
    recipe = get_recipe(name)
    experiment = recipe.build(recipe.configure(TINY[name] | settings), RunOptions(seed=3))
    left_out = {"Figures", "Interpolation", "Judgements"} - {*slow}
    experiment.figures = [one for one in experiment.figures if type(one).__name__ not in left_out]
    return experiment


def broken(name="gaussian", *, at, folder="broken", every=2, callbacks=(), **settings):
    """A run that failed at an iteration."""
    with pytest.raises(RuntimeError, match="planted"):
        train(build(name, **settings), folder=folder, callbacks=[*callbacks, Dies(at)], checkpoint_every=every)


def everything(experiment):
    """The bytes of everything that training changes."""
    arrays = {}
    for name, player in experiment.game.players.items():
        net, optimizer = player.network, player.optimizer
        arrays |= {f"{name} theta": net.theta, f"{name} t": np.array(optimizer.t)}
        arrays |= {f"{name} {key}": array for part in (net.state, optimizer.state) for key, array in part.items()}
    return {name: array.tobytes() for name, array in arrays.items()} | {
        name: rng.bit_generator.state for name, rng in experiment.streams.items()
    }


def files(folder):
    """Metrics, weights, figures, and the summary without the entries that may differ."""
    found = {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}
    del found["config.json"]  # it now lists both runs
    summary = json.loads(found.pop("summary.json"))
    summary = {key: summary[key] for key in summary if key not in ("seconds", "cpu_seconds", "resumed")}
    return found | {"summary.json": summary}


def checkpoints(folder="broken"):
    return sorted(path.name for path in Path(folder, "checkpoints").iterdir())


@pytest.mark.parametrize("name", RECIPES)
def test_a_resumed_run_is_the_uninterrupted_one(name, images, in_tmp):
    slow = ["Figures"]  # the other callbacks have no state
    whole, again = build(name, slow=slow), build(name, slow=slow)
    train(whole, folder="whole")
    last = TINY[name]["iterations"]
    broken(name, at=last, slow=slow)
    assert checkpoints() == [f"{last - 3:06d}.checkpoint", f"{last - 1:06d}.checkpoint"]
    again.pretraining = lambda: pytest.fail("pretrained again")
    summary = resume(again, "broken")
    assert summary["resumed"] == [{"iteration": last - 1, "checkpoint": f"{last - 1:06d}.checkpoint"}]
    assert everything(again) == everything(whole)
    assert files("broken") == files("whole")


def test_every_recipe_is_tried():
    assert set(TINY) == set(RECIPES)


class TestResume:
    def test_after_ctrl_c_it_goes_on_from_there(self, images, in_tmp):
        """A checkpoint is written at the last iteration; the picture drawn there is deleted."""
        train(build("mnist-dense"), folder="whole")
        interrupt = Dies(3, lambda: signal.raise_signal(signal.SIGINT))
        train(build("mnist-dense"), folder="run", callbacks=[interrupt], checkpoint_every=100)
        assert Path("run/samples_000003.png").exists()
        assert checkpoints("run") == ["000000.checkpoint", "000003.checkpoint"]
        assert resume(build("mnist-dense"), "run")["resumed"][0]["iteration"] == 3
        assert files("run") == files("whole")

    def test_before_the_first_iteration(self, images, in_tmp):
        """The first checkpoint contains the pretraining, which is not repeated."""
        whole, again = build("mnist-softmax"), build("mnist-softmax")
        train(whole, folder="whole")
        broken("mnist-softmax", at=1)
        assert checkpoints() == ["000000.checkpoint"]
        again.pretraining = lambda: pytest.fail("pretrained again")
        resume(again, "broken")
        assert everything(again) == everything(whole)
        assert files("broken") == files("whole")

    def test_twice_and_its_seconds_add_up(self, in_tmp):
        train(build(), folder="whole")
        broken(at=3)
        slow = Dies(5, lambda: time.sleep(0.5))
        with pytest.raises(RuntimeError, match="planted"):
            resume(build(), "broken", callbacks=[slow, Dies(7)])
        last = resume(build(), "broken")
        assert [one["iteration"] for one in last["resumed"]] == [2, 6]
        assert last["seconds"] >= 0.5  # those of the resumed part
        assert files("broken") == files("whole")

    def test_a_failure_in_its_first_iteration_leaves_the_metrics_of_the_last(self, in_tmp):
        broken(at=3)
        again = build()
        again.play = lambda: 1 / 0
        with pytest.raises(ZeroDivisionError):
            resume(again, "broken")
        last = json.loads(Path("broken/metrics.jsonl").read_text().splitlines()[-1])
        summary = read_json("broken/summary.json")
        assert last == {"iteration": 2, **summary["metrics"]}
        assert (summary["status"], summary["iterations"]) == ("failed", 2)

    def test_after_a_full_disk(self, in_tmp, monkeypatch):
        def full(path, tree):
            if tree["iteration"] == 4:
                raise OSError(28, "No space left on device")
            return write_checkpoint(path, tree)

        train(build(), folder="whole")
        with monkeypatch.context() as patch:
            patch.setattr("minigan.training.checkpoint.write_checkpoint", full)
            with pytest.raises(OSError, match="No space left"):
                train(build(), folder="run", checkpoint_every=2)
        assert read_json("run/summary.json")["status"] == "failed"
        assert checkpoints("run") == ["000000.checkpoint", "000002.checkpoint"]
        resume(build(), "run")
        assert files("run") == files("whole")

    def test_further_than_first_asked_for(self, in_tmp):
        longer = build(iterations=11)
        train(longer)
        train(build(), folder="run", checkpoint_every=5)
        again = build()
        summary = resume(again, "run", iterations=11)
        assert (summary["status"], summary["iterations"]) == ("completed", 11)
        assert read_json("run/config.json")["iterations"] == 11
        assert again.gan.G.theta.tobytes() == longer.gan.G.theta.tobytes()
        with pytest.raises(
            RunError, match="run: completed after 11 iterations; to continue, expected iterations=N, N > 11"
        ):
            resume(build(), "run")

    def test_a_run_of_a_version_without_one_of_the_hyper_parameters(self, images, in_tmp):
        """config.json and the checkpoints lack what was added since; `configure_stored` supplies the run's value."""
        whole = build("mnist-dcgan", fakes="inference")
        train(whole, folder="whole")
        broken("mnist-dcgan", at=3, folder="run", fakes="inference")
        for path in Path("run/checkpoints").iterdir():
            tree = read_checkpoint(path)
            del tree["identity"]["settings"]["fakes"]
            write_checkpoint(path, tree)
        config = read_json("run/config.json")
        del config["settings"]["fakes"]
        Path("run/config.json").write_text(json.dumps(config))
        resume_run("run")
        resumed, uninterrupted = (np.load(f"{folder}/generator.npz") for folder in ("run", "whole"))
        for name in uninterrupted.files:
            np.testing.assert_array_equal(resumed[name], uninterrupted[name])
        with pytest.raises(RunError, match="it differs in settings"):  # a value that is there counts
            resume(build("mnist-dcgan", fakes="inference", lr=0.1), "run", iterations=4)

    def test_a_callback_that_stops_early_remembers(self, in_tmp):
        def patient():
            return EarlyStop("never smaller", patience=4)

        class Constant(Callback):
            def on_iteration(self, run):
                run.metrics["never smaller"] = 1.0

        train(build(), folder="whole", callbacks=[Constant(), patient()])
        broken(at=4, callbacks=[Constant(), patient()])
        with pytest.raises(RunError, match="the run was started with EarlyStop 2; expected the same callbacks again"):
            resume(build(), "broken")
        summary = resume(build(), "broken", callbacks=[Constant(), patient()])
        assert (summary["status"], summary["iterations"]) == ("stopped early", 5)
        assert files("broken") == files("whole")
        with pytest.raises(RunError, match="broken: stopped early after 5 iterations"):
            resume(build(), "broken", callbacks=[Constant(), patient()])

    def test_of_an_animation_that_lost_a_frame(self, images, in_tmp):
        broken("mnist-dense", at=5)
        Path("broken/samples_000002.png").unlink()
        assert resume(build("mnist-dense"), "broken")["status"] == "completed"
        Path("broken/samples_000002.png").write_bytes(b"no picture")
        with pytest.raises(RunError, match=r"samples_000002\.png: not a whole picture .*; without the file the anim"):
            resume(build("mnist-dense"), "broken", iterations=6, checkpoint="broken/checkpoints/000004.checkpoint")


class TestRefused:
    def test_a_run_without_checkpoints(self, in_tmp):
        train(build(), folder="run")
        Path("run/summary.json").unlink()
        with pytest.raises(
            RunError, match="run: it has no checkpoints: it cannot be resumed; start a new run with checkpoint_every=N"
        ):
            resume_run("run")
        Path("run/checkpoints").mkdir()
        with pytest.raises(
            RunError, match="run: it has no checkpoints: it ended before the first one; start a new run"
        ):
            resume_run("run")

    def test_a_run_that_diverged(self, in_tmp):
        train(build(lr=1e25), folder="run", checkpoint_every=1)
        with pytest.raises(RunError, match="run: diverged: .* it would diverge again; start a new run"):
            resume(build(lr=1e25), "run", iterations=100)

    def test_a_run_that_is_in_use(self, in_tmp):
        broken(at=3)
        before = {p: p.read_bytes() for p in Path("broken").rglob("*") if p.is_file()}
        with Checkpoints("broken").locked(), pytest.raises(RunError, match="broken: another process is training"):
            resume(build(), "broken")

        def while_it_trains():
            with pytest.raises(RunError, match="run: another process is training"):
                resume(build(), "run")

        summary = train(build(), folder="run", callbacks=[Dies(3, while_it_trains)], checkpoint_every=2)
        assert summary["status"] == "completed"
        assert {p: p.read_bytes() for p in Path("broken").rglob("*") if p.is_file()} == before

    def test_another_runs_checkpoint(self, in_tmp):
        broken(at=3)
        broken(at=3, folder="other", hidden=11)
        with pytest.raises(RunError, match="a checkpoint of another run: it differs in networks, settings"):
            resume(build(), "broken", checkpoint="other/checkpoints/000002.checkpoint")

    def test_other_data(self, images, in_tmp):
        broken("mnist-maxout", at=3)
        again = build("mnist-maxout")
        again.sources["pixels"].data = again.sources["pixels"].data[:50]
        with pytest.raises(RunError, match="it does not fit the run: the order is of 60 examples; expected 50"):
            resume(again, "broken")

    @pytest.mark.parametrize("content", ["", "half a line", '{"iteration": 1}\n{"iteration": 3}\n', "[]\n"])
    def test_metrics_that_do_not_reach_the_checkpoint(self, in_tmp, content):
        broken(at=3)
        Path("broken/metrics.jsonl").write_text(content)
        with pytest.raises(
            RunError,
            match=r"metrics\.jsonl: damaged at line \d .*; the checkpoint needs the first 2 lines, expected an older",
        ):
            resume(build(), "broken")
        assert Path("broken/metrics.jsonl").read_text() == content

    def test_a_config_or_a_summary_that_is_not_one(self, in_tmp):
        broken(at=3)
        Path("broken/summary.json").write_text("[]")
        with pytest.raises(RunError, match=r"summary\.json: expected a JSON object, got list"):
            resume_run("broken")
        config = read_json("broken/config.json")
        for name in ("seed", "iterations", "settings"):
            Path("broken/config.json").write_text(json.dumps({k: v for k, v in config.items() if k != name}))
            with pytest.raises(RunError, match=rf"config\.json: .*'{name}'"):
                resume_run("broken")

    @pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "2"])
    def test_wrong_numbers(self, in_tmp, wrong):
        with pytest.raises(ValueError, match=r"checkpoint_every must be an int >= 1, got"):
            train(build(), folder="run", checkpoint_every=wrong)
        assert not Path("run").exists()
        broken(at=3)
        with pytest.raises(ValueError, match="iterations must be an int >= 1, got"):
            resume_run("broken", iterations=wrong)

    def test_wrong_combinations(self, in_tmp):
        with pytest.raises(ValueError, match="checkpoint_every=2 needs a run folder, got folder=None"):
            train(build(), checkpoint_every=2)
        with pytest.raises(ValueError, match="checkpoint_every=2 needs a run folder, got folder=False"):
            train_recipe("gaussian", folder=False, checkpoint_every=2)
        broken(at=5)
        with pytest.raises(ValueError, match=r"iterations must be > 4, those of broken/checkpoints/000004"):
            resume_run("broken", iterations=4)


class TestDamaged:
    def test_the_older_one_is_named_and_leads_to_the_same_end(self, in_tmp):
        train(build(), folder="whole")
        broken(at=5)
        newest = Path("broken/checkpoints/000004.checkpoint")
        newest.write_bytes(newest.read_bytes()[:-1])
        older = "broken/checkpoints/000002.checkpoint"
        before = files("broken")
        with pytest.raises(
            RunError, match=rf"000004.checkpoint: truncated: .*; expected another one, checkpoint={older}$"
        ):
            resume(build(), "broken")
        assert files("broken") == before
        resume(build(), "broken", checkpoint=older)
        assert files("broken") == files("whole")
        assert read_checkpoint(newest.with_name("000006.checkpoint"))["iteration"] == 6

    def test_the_newer_ones_go_when_a_run_goes_on_from_an_older_one(self, in_tmp):
        broken(at=5)
        with pytest.raises(RuntimeError, match="planted"):
            resume(build(), "broken", checkpoint="broken/checkpoints/000002.checkpoint", callbacks=[Dies(3)])
        assert checkpoints() == ["000002.checkpoint"]

    def test_none_is_whole(self, in_tmp):
        broken(at=5)
        for path in Path("broken/checkpoints").iterdir():
            path.write_bytes(b"")
        with pytest.raises(RunError, match="000004.checkpoint: not a checkpoint.*; no other one is intact; start"):
            resume(build(), "broken")

    def test_a_copy_from_elsewhere_comes_back_into_the_folder(self, in_tmp):
        broken(at=3)
        os.rename("broken/checkpoints/000002.checkpoint", "copy")
        with pytest.raises(RuntimeError, match="planted"):
            resume(build(), "broken", checkpoint="copy", callbacks=[Dies(3)])
        assert checkpoints() == ["000000.checkpoint", "000002.checkpoint"]
