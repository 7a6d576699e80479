"""Divergence: every number that is not finite stops the training, and the last good parameters come back."""

import math

import numpy as np
import pytest
from small_runs import FILES, SMALL, lines, normalised, small

import minigan as mg
from minigan.runs import train_recipe
from minigan.training import new_folder, read_arrays, train


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
        """One update with a rate that overflows float32: the losses, computed before it, are finite."""
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
