"""Callbacks: metrics, early stopping, and progress on a log, on a terminal and on a broken stream."""

import importlib
import io
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from small_runs import SMALL, lines, normalised, small

from minigan.recipes import get_recipe
from minigan.training import Callback, EarlyStop, Evaluate, ProgressBar, new_folder, read_json, train


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
        """Uses fake numba events; compilations of other packages are not shown."""
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
        assert "compiling apply (once; `minigan warmup` compiles all)" in before
        assert "theirs" not in before
        assert "compiling" not in log.getvalue()
        Compiles().on_iteration(None)  # training has ended
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
