"""Weights and summary are written however a run ends: an error, one Ctrl-C, two."""

import signal
import threading

import numpy as np
import pytest

from minigan.recipes import RunOptions, get_recipe
from minigan.training import Callback, RunError, loop, read_arrays, read_json, resume, train

SMALL = {"iterations": "6", "batch_size": "20", "frames": "3"}
KEPT = {"config.json", "metrics.jsonl", "generator.npz", "discriminator.npz", "summary.json"}
FIGURES = {"figure.png"}
SIGNALS = [signal.SIGINT, signal.SIGTERM]


class Figure(Callback):
    """A figure drawn at the end, instead of the recipe's figures, which take seconds."""

    def on_end(self, run):
        if run.folder is not None:
            (run.folder / "figure.png").write_text("drawn")


def small():
    recipe = get_recipe("gaussian")
    experiment = recipe.build(recipe.configure(SMALL), RunOptions(seed=3))
    experiment.figures = [Figure()]
    return experiment


def theta_after(iterations):
    experiment = small()
    train(experiment, iterations=iterations)
    return experiment.gan.G.theta


def files(folder):
    return {p.name for p in folder.iterdir()}


def stored_theta(folder):
    arrays = read_arrays(folder / "generator.npz")
    return np.array([arrays["0.W"].item(), arrays["0.b"].item()], dtype="float32")


class At(Callback):
    """Call `do` in one of the hooks, at a given iteration."""

    def __init__(self, hook, do, *, iteration=3):
        self.hook, self.do, self.iteration = hook, do, iteration

    def on_start(self, run):
        if self.hook == "on_start":
            self.do()

    def on_iteration(self, run):
        if self.hook == "on_iteration" and run.iteration == self.iteration:
            self.do()

    def on_end(self, run):
        if self.hook == "on_end":
            self.do()


def fail():
    raise RuntimeError("planted")


class TestFailures:
    @pytest.mark.parametrize(("hook", "iterations"), [("on_start", 0), ("on_iteration", 3), ("on_end", 6)])
    def test_in_a_callback(self, in_tmp, hook, iterations):
        with pytest.raises(RuntimeError, match="planted"):
            train(small(), folder="run", callbacks=[At(hook, fail)])
        summary = read_json("run/summary.json")
        assert (summary["status"], summary["error"]) == ("failed", "RuntimeError: planted")
        assert summary["iterations"] == iterations
        np.testing.assert_array_equal(
            stored_theta(in_tmp / "run"), theta_after(iterations) if iterations else small().gan.G.theta
        )

    def test_in_the_evaluation(self, in_tmp):
        experiment = small()
        experiment.evaluate = fail
        with pytest.raises(RuntimeError, match="planted"):
            train(experiment, folder="run")
        summary = read_json("run/summary.json")
        assert (summary["status"], summary["iterations"]) == ("failed", 6)
        assert files(in_tmp / "run") == KEPT | FIGURES

    def test_in_the_middle_of_an_iteration(self, in_tmp):
        experiment = small()
        experiment.evaluate = lambda: pytest.fail("evaluated")
        play, count = experiment.play, iter(range(1, 100))

        def half():
            played = play()
            if next(count) == 4:
                fail()
            return played

        experiment.play = half
        with pytest.raises(RuntimeError, match="planted"):
            train(experiment, folder="run")
        assert read_json("run/summary.json")["iterations"] == 3
        np.testing.assert_array_equal(stored_theta(in_tmp / "run"), theta_after(3))

    def test_the_first_error_is_the_one_that_goes_on(self, in_tmp):
        def other():
            raise ValueError("another")

        with pytest.raises(RuntimeError, match="planted"):
            train(small(), folder="run", callbacks=[At("on_end", other), At("on_iteration", fail)])
        assert read_json("run/summary.json")["error"] == "RuntimeError: planted"

    def test_weights_that_cannot_be_written_do_not_cost_the_summary(self, in_tmp, monkeypatch):
        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(loop, "write_arrays", full)
        with pytest.raises(OSError, match="No space left"):
            train(small(), folder="run")
        assert read_json("run/summary.json")["status"] == "failed"


class TestSignals:
    @pytest.mark.parametrize("number", SIGNALS)
    def test_the_first_one_ends_the_game_and_the_rest_is_done(self, in_tmp, number):
        summary = train(small(), folder="run", callbacks=[At("on_iteration", lambda: signal.raise_signal(number))])
        assert (summary["status"], summary["iterations"]) == ("interrupted", 3)
        assert "jsd" in summary
        assert files(in_tmp / "run") == KEPT | FIGURES

    @pytest.mark.parametrize("number", SIGNALS)
    def test_a_second_one_in_the_evaluation(self, in_tmp, number):
        experiment = small()
        experiment.evaluate = lambda: signal.raise_signal(number) or {"seen": 1}
        ended = []
        hooks = [At("on_iteration", lambda: signal.raise_signal(number)), At("on_end", lambda: ended.append(1))]
        summary = train(experiment, folder="run", callbacks=hooks)
        assert (summary["status"], summary["iterations"], ended) == ("interrupted", 3, [1])
        assert "seen" not in summary
        assert read_json("run/summary.json")["status"] == "interrupted"
        assert files(in_tmp / "run") == KEPT
        np.testing.assert_array_equal(stored_theta(in_tmp / "run"), theta_after(3))

    @pytest.mark.parametrize("number", SIGNALS)
    def test_the_first_one_ends_what_comes_before_the_game(self, in_tmp, number):
        """Pretraining takes minutes, and there is no iteration to finish."""
        experiment = small()
        experiment.pretraining = lambda: signal.raise_signal(number) or pytest.fail("went on")
        summary = train(experiment, folder="run", checkpoint_every=2)
        assert (summary["status"], summary["iterations"]) == ("interrupted", 0)
        assert files(in_tmp / "run") == KEPT | FIGURES | {"checkpoints"}
        with pytest.raises(RunError, match="it ended before the first one; start a new run"):
            resume(small(), "run")

    def test_two_in_one_iteration(self, in_tmp):
        """The second signal interrupts the iteration: the parameters are those before it."""
        experiment = small()
        experiment.evaluate = lambda: pytest.fail("evaluated")
        play, count = experiment.play, iter(range(1, 100))

        def impatient():
            played = play()
            if next(count) == 4:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
                pytest.fail("went on")
            return played

        experiment.play = impatient
        summary = train(experiment, folder="run")
        assert (summary["status"], summary["iterations"]) == ("interrupted", 3)
        assert files(in_tmp / "run") == KEPT
        np.testing.assert_array_equal(stored_theta(in_tmp / "run"), theta_after(3))

    def test_one_after_the_game_leaves_out_the_figures(self, in_tmp):
        """A first signal after the last iteration skips the evaluation and the figures."""
        hooks = [At("on_end", lambda: signal.raise_signal(signal.SIGINT))]
        summary = train(small(), folder="run", callbacks=hooks)
        assert (summary["status"], summary["iterations"]) == ("interrupted", 6)
        assert read_json("run/summary.json")["status"] == "interrupted"
        assert files(in_tmp / "run") == KEPT

    def test_one_while_the_weights_are_written(self, in_tmp, monkeypatch):
        write = loop.write_arrays
        monkeypatch.setattr(loop, "write_arrays", lambda *a: signal.raise_signal(signal.SIGINT) or write(*a))
        train(small(), folder="run")
        assert files(in_tmp / "run") == KEPT
        np.testing.assert_array_equal(stored_theta(in_tmp / "run"), theta_after(6))

    def test_handlers_are_put_back(self):
        before = [signal.getsignal(number) for number in SIGNALS]
        during = []
        train(small(), callbacks=[At("on_iteration", lambda: during.extend(map(signal.getsignal, SIGNALS)))])
        assert [signal.getsignal(number) for number in SIGNALS] == before
        assert not set(during) & set(before)

    def test_handlers_of_the_program_stay(self):
        def own(*_):
            pytest.fail("called")

        during = []
        before = signal.signal(signal.SIGTERM, own)
        try:
            train(small(), callbacks=[At("on_iteration", lambda: during.append(signal.getsignal(signal.SIGTERM)))])
            assert (during, signal.getsignal(signal.SIGTERM)) == ([own], own)
        finally:
            signal.signal(signal.SIGTERM, before)

    def test_a_training_in_another_thread(self):
        found = []
        thread = threading.Thread(target=lambda: found.append(train(small())["status"]))
        thread.start()
        thread.join()
        assert found == ["completed"]
