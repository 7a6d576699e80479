"""What the recipes do in an iteration: updates, rates, priors, and how `gaussian` converges."""

import math

import numpy as np
import pytest

import minigan as mg
from minigan.recipes import RunOptions, get_recipe
from minigan.training import train


class TestGaussian:
    def test_hyper_parameters_are_the_documents(self):
        config = get_recipe("gaussian").Config()
        assert (config.batch_size, config.d_updates, config.g_updates, config.hidden) == (1000, 10, 10, 10)
        assert (config.mu, config.sigma, config.iterations) == (4, 2, 1000)
        assert (config.lr, config.beta1, config.beta2, config.eps) == (1e-3, 0.9, 0.999, 1e-7)

    def test_one_iteration_is_ten_and_ten_updates(self):
        experiment = get_recipe("gaussian").build()
        experiment.play()
        assert (experiment.gan.optimizer_D.t, experiment.gan.optimizer_G.t) == (10, 10)

    def test_it_learns(self):
        """A full run ends near N(4, 2^2), nearer than the tutorial's 200 iterations."""
        recipe = get_recipe("gaussian")
        done = train(recipe.build(run_options=RunOptions(seed=1)))
        assert abs(done["generator"]["mean"] - 4) <= 0.06
        assert abs(done["generator"]["std"] - 2) <= 0.15
        assert done["jsd"] < 0.005
        document = train(recipe.build(recipe.configure({"iterations": "200"}), RunOptions(seed=1)))
        assert document["generator"]["mean"] < 3
        assert document["jsd"] > 10 * done["jsd"]

    def test_float64_and_reference_follow_the_same_path(self):
        recipe = get_recipe("gaussian")
        config = recipe.configure({"iterations": "5"})
        thetas = []
        for setting in (RunOptions(), RunOptions(dtype="float64"), RunOptions(dtype="float64", ops="reference")):
            experiment = recipe.build(config, setting)
            train(experiment)
            thetas.append(experiment.gan.D.theta)
        np.testing.assert_allclose(thetas[0], thetas[1], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(thetas[1], thetas[2], rtol=1e-10)


class TestMnistDense:
    def test_it_plays_as_the_document_does(self, images):
        recipe = get_recipe("mnist-dense")
        experiment = recipe.build(recipe.configure({"batch_size": "16"}))
        gan = experiment.gan
        assert (gan.d_batching, gan.fake_mode, gan.frozen_d_mode) == (mg.combined, mg.eval_fakes, mg.gan.eval_mode)
        experiment.play()
        assert (gan.optimizer_D.t, gan.optimizer_G.t) == (10, 10)
        assert gan.objective == mg.NonSaturating(d_scale=0.5)

    def test_prior_and_pixels(self, images):
        recipe = get_recipe("mnist-dense")
        z = recipe.prior(recipe.Config(), 1000, np.random.default_rng(0))
        assert z.shape == (1000, 64)
        assert 0 <= z.min() < 0.01 < 0.99 < z.max() <= 1


class TestMnistMaxout:
    def test_schedules_prior_and_bias(self, images):
        recipe = get_recipe("mnist-maxout")
        config = recipe.configure({"batch_size": "20", "momentum_epochs": "3", "train_images": "60"})
        experiment = recipe.build(config)
        optimizer = experiment.gan.optimizer_G
        assert optimizer.lr(1) == 0.1
        assert optimizer.lr(1001) == pytest.approx(0.1 * 1.000004**-1000, rel=1e-14)
        assert optimizer.lr(10**9) == 1e-6
        # 3 batches per epoch: 0.5 in epoch 1, halfway in epoch 2, 0.7 from epoch 3 on
        assert [round(optimizer.momentum(t), 10) for t in (1, 3, 4, 6, 7, 1000)] == [0.5, 0.5, 0.6, 0.6, 0.7, 0.7]
        z = recipe.prior(config, 2000, np.random.default_rng(0))
        assert np.abs(z).max() <= math.sqrt(3)
        assert z.var() == pytest.approx(1, abs=0.02)
        pixels = images.images.reshape(60, 784) / 255
        bias = experiment.gan.G.parameters()["4.b"]
        np.testing.assert_allclose(1 / (1 + np.exp(-bias.astype(float))), pixels.mean(axis=0), rtol=1e-5)
        w = experiment.gan.D.parameters()["1.W"]
        assert 0.0049 < np.abs(w).max() <= 0.005

    def test_one_iteration_is_one_update_of_both(self, images):
        recipe = get_recipe("mnist-maxout")
        experiment = recipe.build(recipe.configure({"batch_size": "20"}))
        experiment.play()
        assert (experiment.gan.optimizer_D.t, experiment.gan.optimizer_G.t) == (1, 1)


def test_a_pretraining_whose_batches_hold_one_kind_each_has_no_losses(images):
    recipe = get_recipe("mnist-softmax")
    config = recipe.configure({"pretrain": 2, "batch_size": 2, "depth": 8, "d_depth": 1})
    found = [recipe.build(config, RunOptions(seed=seed)).pretraining()["pretraining"] for seed in range(8)]
    assert {"images": 4} in found
    assert any(math.isfinite(one.get("first_d_loss", math.nan)) for one in found)
