"""WGAN-GP end to end: every update of a run against the complex step of its whole cost, and every weight moves.

A known implementation trained a WGAN-GP whose weights never moved: a gradient was computed, but did not reach them.
Such faults leave finite costs and samples.  Here they are planted, and the check must find each:

    J_D(theta_D) = mean D(G(z)) - mean D(x) + lambda mean (||grad D(x^)|| - 1)^2      x^ = e x + (1 - e) G(z)
    J_G(theta_G) = -mean D(G(z))                                                    through D into G
"""

import copy

import numpy as np
import pytest
from cases import ENGINES, network
from gradients import TENSOR_GATE, H

import minigan as mg
from minigan.layers import Conv2D, Dense
from minigan.optimizers import Adam
from minigan.recipes import RunOptions, get_recipe

UPDATES = 5


def images_gan(ops="reference"):
    """Networks of convolutions for images of 6 x 6, and the play of one iteration, on random images."""
    G = network(
        [
            mg.Dense(3, 18), mg.ReLU(), mg.Reshape((3, 3, 2)),
            mg.ConvTranspose2D(2, 1, 4, stride=2, padding=1), mg.Sigmoid(),
        ],
        seed=1, ops=ops,
    )  # fmt: skip
    D = network(
        [
            mg.Conv2D(1, 3, 3, stride=2, padding="same"), mg.LeakyReLU(0.2), mg.Conv2D(3, 4, 3, padding="same"),
            mg.Tanh(), mg.Flatten(), mg.Dense(36, 1),
        ],
        seed=2, ops=ops,
    )  # fmt: skip
    gan = mg.GAN(
        G, D, mg.Adam(G, lr=1e-2), mg.Adam(D, lr=1e-2), mg.Wasserstein(), rng=np.random.default_rng(5),
        penalties=(mg.WassersteinPenalty(10.0),),
    )  # fmt: skip
    rng = np.random.default_rng(3)
    return gan, lambda: mg.alternating(gan, lambda: rng.random((4, 6, 6, 1)), lambda: rng.standard_normal((4, 3)), k=2)


def recipe_gan(ops="cpu"):
    """The recipe with few channels, on random images."""
    recipe = get_recipe("mnist-wgan-gp")
    settings = {"batch_size": 3, "dim": 2, "latent": 3, "d_updates": 2, "lr": 1e-2}
    images = np.random.default_rng(0).integers(0, 256, (30, 28, 28, 1), dtype=np.uint8)
    experiment = recipe.build(recipe.configure(settings), RunOptions(dtype="float64", images=images, ops=ops))
    return experiment.game, experiment.play


# --- the check ------------------------------------------------------------------------------------


class Watched:
    """A game whose updates are recorded: the batches, the parameters and the state of the stream before each."""

    def __init__(self, gan):
        self.gan, self.updates, self.steps = gan, [], []
        update_D, update_G = gan.update_D, gan.update_G
        for name, optimizer in (("G", gan.optimizer_G), ("D", gan.optimizer_D)):
            self._watch(name, optimizer)

        def watched_D(x_real, x_fake):
            self._record("D", (np.array(x_real), np.array(x_fake)))
            return update_D(x_real, x_fake)

        def watched_G(z):
            self._record("G", (np.array(z),))
            return update_G(z)

        gan.update_D, gan.update_G = watched_D, watched_G

    def _watch(self, name, optimizer):
        step = optimizer.step

        def stepping(g):
            self.steps.append((name, g.copy()))
            step(g)

        optimizer.step = stepping

    def _record(self, name, batches):
        gan = self.gan
        thetas = gan.G.theta.copy(), gan.D.theta.copy()
        self.updates.append((name, batches, thetas, copy.deepcopy(gan.rng)))


def cost_of_D(gan, batches, rng):
    """theta_D -> J_D in complex numbers, with grad D from the first-order pullback."""
    x_real, x_fake = batches
    twin = gan.D.astype(complex)
    e = rng.random((len(x_real), 1, 1, 1))
    between = e * x_real + (1 - e) * x_fake

    def cost(theta):
        twin.theta = theta
        critic = [twin.forward(x.astype(complex), train=True)[0].mean() for x in (x_real, x_fake)]
        s, backward = twin.forward(between.astype(complex), train=True)
        v = backward(np.ones_like(s))
        norm = np.sqrt((v * v).sum(axis=(1, 2, 3)))
        return critic[1] - critic[0] + 10 * ((norm - 1) ** 2).mean()

    return cost


def cost_of_G(gan, batches, theta_D):
    """theta_G -> J_G in complex numbers, through both networks."""
    G, D = gan.G.astype(complex), gan.D.astype(complex)
    D.theta = theta_D.astype(complex)

    def cost(theta):
        G.theta = theta
        x = G.forward(batches[0].astype(complex), train=True)[0]
        return -D.forward(x, train=True)[0].mean()

    return cost


def check_end_to_end(gan, play, iterations=UPDATES):
    """Compare the gradient of each update with its cost, along a direction of each tensor; then see that all moved."""
    last_bias = f"{len(gan.D.layers) - 1}.b"  # J_D does not depend on it: its gradient is 0, or a rounding error
    start = {"G": gan.G.theta.copy(), "D": gan.D.theta.copy()}
    watched = Watched(gan)
    for _ in range(iterations):
        play()
    assert [name for name, _ in watched.steps] == [name for name, *_ in watched.updates] == ["D", "D", "G"] * iterations
    rng = np.random.default_rng(9)
    for (name, batches, thetas, stream), (_, g) in list(zip(watched.updates, watched.steps, strict=True))[-3:]:
        net = gan.G if name == "G" else gan.D
        cost = cost_of_G(gan, batches, thetas[1]) if name == "G" else cost_of_D(gan, batches, stream)
        theta = thetas[0 if name == "G" else 1]
        for key, tensor in net.views(g).items():
            v = np.zeros_like(theta)
            net.views(v)[key][...] = rng.standard_normal(tensor.shape)
            derivative = np.imag(cost(theta + 1j * H * v)) / H
            scale = np.linalg.norm(g if (name, key) == ("D", last_bias) else tensor) * np.linalg.norm(v)
            error = abs((g * v).sum() - derivative)
            assert error <= TENSOR_GATE * scale, f"{name} {key}: {error / max(scale, 1e-300):.2g}"
    for name, net in (("G", gan.G), ("D", gan.D)):
        moved = net.views(net.theta != start[name])
        still = {key for key, entries in moved.items() if entries.mean() < 0.9 and (name, key) != ("D", last_bias)}
        assert not still, f"{name}: {still} do not move"


@pytest.mark.parametrize("ops", ["reference", *ENGINES.values()], ids=["reference", *ENGINES])
def test_every_gradient_of_an_iteration_and_every_weight(ops):
    check_end_to_end(*images_gan(ops))


def test_the_recipe():
    check_end_to_end(*recipe_gan(), iterations=2)


@pytest.mark.parametrize("every", [2, 3])
def test_lazy_penalties_move_all_weights_too(every):
    gan, play = images_gan()
    gan.penalty_every = every
    before = gan.D.theta.copy()
    for _ in range(UPDATES):
        play()
    assert (gan.D.theta != before).mean() > 0.9


# --- planted faults -------------------------------------------------------------------------------


def g_step_stops_at_D(monkeypatch):
    """The gradient of D's input does not reach G: zeros do."""
    monkeypatch.setattr("minigan.gan.steps.example_gradient", lambda D, dx, batch: np.zeros_like(dx))


def g_is_updated_by_another_optimizer(monkeypatch):
    """The optimizer holds a copy of G's parameters, and updates the copy."""
    step = Adam.step

    def stray(self, g):
        if self.net.layers[0] == mg.Dense(3, 18):
            theta = self.net.theta.copy()
            step(self, g)
            self.net.theta = theta
        else:
            step(self, g)

    monkeypatch.setattr(Adam, "step", stray)


def g_descends_through_real_images(monkeypatch):
    """J_G has the wrong sign."""
    generator = mg.Wasserstein.generator
    monkeypatch.setattr(
        mg.Wasserstein, "generator", lambda self, s, *, ops=None: tuple(-v for v in generator(self, s, ops=ops))
    )


def the_penalty_has_no_gradient(monkeypatch):
    """The penalty is in the cost, but its gradient is dropped."""
    add = mg.WassersteinPenalty.add_gradient
    monkeypatch.setattr(
        mg.WassersteinPenalty,
        "add_gradient",
        lambda self, D, x, y, g, **rest: add(self, D, x, y, g.copy(), **rest),
    )


def the_points_are_the_real_images(monkeypatch):
    monkeypatch.setattr(
        mg.WassersteinPenalty, "points", lambda self, D, real, fake, *, rng: rng.random((4, 1, 1, 1)) * 0 + real
    )


def the_norm_is_not_differentiated(monkeypatch):
    """phi'(v) = 2 lambda / N (||v|| - 1) v, without the division by the norm."""
    of_gradient = mg.WassersteinPenalty.of_gradient

    def wrong(self, D, v):
        value, u = of_gradient(self, D, v)
        return value, u * np.sqrt((v * v).sum(axis=(1, 2, 3), keepdims=True))

    monkeypatch.setattr(mg.WassersteinPenalty, "of_gradient", wrong)


def first_weights_have_no_penalty(monkeypatch):
    """The pullback of the first layer's pushforward adds nothing."""
    pushforward = Conv2D.pushforward

    def frozen(self, p, x, x_dot, ctx):
        y, y_dot, pullback = pushforward(self, p, x, x_dot, ctx)
        if self.c_in > 1:
            return y, y_dot, pullback
        return y, y_dot, lambda dy, dy_dot, g=None, *, need_dx=True: pullback(dy, dy_dot, None, need_dx=need_dx)

    monkeypatch.setattr(Conv2D, "pushforward", frozen)


def first_weights_never_move(monkeypatch):
    """The optimizer leaves out the first layer's W."""
    step = Adam.step

    def partial(self, g):
        W = next(iter(self.net.parameters().values())).copy()
        step(self, g)
        next(iter(self.net.parameters().values()))[...] = W

    monkeypatch.setattr(Adam, "step", partial)


def biases_get_a_penalty(monkeypatch):
    """The derivative along u does not depend on the last bias, but it gets a gradient."""
    pushforward = Dense.pushforward

    def wrong(self, p, x, x_dot, ctx):
        y, y_dot, pullback = pushforward(self, p, x, x_dot, ctx)

        def back(dy, dy_dot, g=None, *, need_dx=True):
            if g is not None:
                g["b"][...] += dy_dot.sum(axis=0)
            return pullback(dy, dy_dot, g, need_dx=need_dx)

        return y, y_dot, back

    monkeypatch.setattr(Dense, "pushforward", wrong)


def a_small_error_of_the_penalty(monkeypatch):
    """Its gradient is too large by a millionth."""
    add = mg.WassersteinPenalty.add_gradient

    def wrong(self, D, x, y, g, **rest):
        own = D.zeros_like_theta()
        value = add(self, D, x, y, own, **rest)
        g += (1 + 1e-6) * own
        return value

    monkeypatch.setattr(mg.WassersteinPenalty, "add_gradient", wrong)


FAULTS = [
    g_step_stops_at_D, g_is_updated_by_another_optimizer, g_descends_through_real_images, the_penalty_has_no_gradient,
    the_points_are_the_real_images, the_norm_is_not_differentiated, first_weights_have_no_penalty,
    first_weights_never_move, biases_get_a_penalty, a_small_error_of_the_penalty,
]  # fmt: skip


@pytest.mark.parametrize("plant", FAULTS, ids=lambda f: f.__name__)
def test_planted_faults_are_found(plant, monkeypatch):
    gan, play = images_gan()
    plant(monkeypatch)
    with pytest.raises(AssertionError, match=r"[GD] \d\.[Wb]: |do not move"):
        check_end_to_end(gan, play)
