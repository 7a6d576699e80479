"""CycleGAN: the gradients of its four players, its pool of past fakes, and the layer of its generators of images."""

import numpy as np
import pytest
from cases import network
from gradients import assert_direction, assert_tensor, check_layer, check_layer_direction, complex_step
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan.gan.cycle import DISTANCES, NAMES, CycleGAN
from minigan.gan.pool import ImagePool
from minigan.layers import ShapeError, from_config
from minigan.losses import LeastSquares
from minigan.ops import get_ops
from minigan.recipes.symmetries import POSITIONS, Symmetries

OBJECTIVES = [LeastSquares(g_scale=2.0), mg.NonSaturating(d_scale=0.5)]
CYCLE, IDENTITY, N, POOL = 3.0, 2.0, 4, 5
GAME_GATE = 1e-13
WRONG = 1 + 1e-6


def small(objective=OBJECTIVES[0], *, distance="l1", ops="reference", pool=True, seed=0):
    """A game of dense networks with three features, and a batch of each domain; the pools are full."""
    rng = np.random.default_rng(seed)
    networks = {}
    for name in NAMES:
        layers = [mg.Dense(3, 5), mg.Tanh(), mg.Dense(5, 3 if name.startswith("G") else 1)]
        networks[name] = mg.Network(layers, rng=rng, dtype="float64", ops=ops)
        networks[name].theta = networks[name].theta + 0.1 * rng.standard_normal(networks[name].theta.size)
    xp = networks["G_AB"].ops
    pools = {d: ImagePool(POOL, (3,), N, rng=rng, ops=xp, dtype="float64") for d in ("A", "B") if pool}
    for one in pools.values():
        one.images[...], one.filled = rng.standard_normal((POOL, 3)), POOL
    x = {"A": rng.standard_normal((N, 3)), "B": rng.standard_normal((N, 3)) + 1}
    players = {name: mg.Player(net, mg.Adam(net)) for name, net in networks.items()}
    game = CycleGAN(
        players, objective, lambda: x["A"], lambda: x["B"],
        cycle=CYCLE, identity=IDENTITY, distance=distance, pools=pools, rng=np.random.default_rng(1),
    )  # fmt: skip
    return game, x


def mean_distance(error, distance):
    """The mean of |Re e| as a function of complex e, or of e^2, by NumPy alone."""
    return np.mean(np.where(error.real < 0, -error, error) if distance == "l1" else error * error)


def costs(game, x, theta, shown):
    """J_G and J_D of all players, as the module's equations, for complex parameters; `shown` is what each D sees."""
    net = {name: game.network(name).astype(complex) for name in NAMES}
    for name, value in theta.items():
        net[name].theta = value
    x = {domain: one.astype(complex) for domain, one in x.items()}
    run = {name: lambda z, one=one: one.forward(z, train=True)[0] for name, one in net.items()}
    fake = {"B": run["G_AB"](x["A"]), "A": run["G_BA"](x["B"])}
    J_G = sum(game.objective.generator(run[f"D_{d}"](fake[d]))[0] for d in "AB")
    J_G = J_G + CYCLE * mean_distance(run["G_BA"](fake["B"]) - x["A"], game.distance)
    J_G = J_G + CYCLE * mean_distance(run["G_AB"](fake["A"]) - x["B"], game.distance)
    J_G = J_G + IDENTITY * mean_distance(run["G_AB"](x["B"]) - x["B"], game.distance)
    J_G = J_G + IDENTITY * mean_distance(run["G_BA"](x["A"]) - x["A"], game.distance)
    J_D = sum(
        game.objective.discriminator(run[f"D_{d}"](x[d]), run[f"D_{d}"](shown[d].astype(complex)))[0] for d in "AB"
    )
    return J_G, J_D


def check_game(game, x):
    """Compare the gradients of all four players with the complex step, tensor by tensor and along a direction."""
    plans = {d: pool.plan() for d, pool in game.pools.items()}
    shown = {}
    for d, out, source in (("B", "G_AB", "A"), ("A", "G_BA", "B")):
        fake = game.network(out).forward(x[source], train=True)[0]
        both = np.concatenate([game.pools[d].images, fake]) if game.pools else fake
        shown[d] = both[plans[d][0]] if game.pools else fake
    g = game.gradients()
    game.add_gradients(x, plans or {"A": (), "B": ()}, g)
    rng = np.random.default_rng(3)
    for name in NAMES:
        player, which = game.network(name), int(name.startswith("D"))

        def cost(theta, name=name, which=which):
            return costs(game, x, {name: theta}, shown)[which]

        want = complex_step(cost, player.theta)
        for key, tensor in player.views(g[name]).items():
            assert_tensor(tensor, player.views(want)[key], gate=GAME_GATE)
        v = rng.standard_normal(player.theta.size)
        assert_direction(g[name], v, np.imag(cost(player.theta + 1e-30j * v)) / 1e-30)


@pytest.mark.parametrize("ops", ["reference", "cpu"])
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: type(o).__name__)
def test_every_gradient_by_complex_step(objective, distance, ops):
    check_game(*small(objective, distance=distance, ops=ops))
    check_game(*small(objective, distance=distance, ops=ops, pool=False))


class Scaled:
    """An objective, one gradient of which is scaled."""

    def __init__(self, objective, of, factor):
        self.objective, self.of, self.factor = objective, of, factor

    def generator(self, s, *, ops=None):
        value, ds = self.objective.generator(s)
        return value, ds * (self.factor if self.of == "generator" else 1)

    def discriminator(self, s_real, s_fake, *, ops=None):
        value, *ds = self.objective.discriminator(s_real, s_fake)
        return value, *(
            d * (self.factor if self.of == kind else 1) for d, kind in zip(ds, ("real", "fake"), strict=True)
        )

    def one_side(self, s, *, real, ops=None):
        return self.objective.one_side(s, real=real)

    def probability(self, s, *, ops=None):
        return self.objective.probability(s)


def scaled_distance(weight_of, factor):
    """The L1 distance; its gradient is scaled for the term of one weight."""

    def distance(error, weight, ops):
        value, derror = DISTANCES["l2"](error, weight, ops)
        return value, derror * (factor if weight == weight_of else 1)

    return distance


@pytest.mark.parametrize("term", ["cycle", "identity", "generator", "real", "fake"])
def test_a_planted_error_in_any_term_is_detected(term, monkeypatch):
    for factor in (1.0, WRONG):
        game, x = small()
        if term in ("cycle", "identity"):
            weight = {"cycle": CYCLE, "identity": IDENTITY}[term]
            monkeypatch.setitem(DISTANCES, "planted", scaled_distance(weight, factor))
            game.distance = "planted"
        else:
            game.objective = Scaled(OBJECTIVES[0], term, factor)
        if factor == 1:
            check_game(game, x)
            continue
        with pytest.raises(AssertionError, match="relative error"):
            check_game(game, x)


def test_the_reported_costs_are_those_of_the_equations():
    game, x = small(pool=False)
    seen = game.add_gradients(x, {"A": (), "B": ()}, game.gradients())
    fakes = {"B": game.network("G_AB")(x["A"]), "A": game.network("G_BA")(x["B"])}
    J_G, J_D = costs(game, x, {}, fakes)
    assert seen["d_loss"] == pytest.approx(J_D.real, rel=1e-13)
    assert seen["g_loss"] + seen["cycle_loss"] + seen["identity_loss"] == pytest.approx(J_G.real, rel=1e-13)
    assert set(game.losses) == set(seen)


def test_terms_of_weight_zero_are_left_out():
    game, x = small(pool=False)
    game.cycle = game.identity = 0
    seen = game.add_gradients(x, {"A": (), "B": ()}, game.gradients())
    assert (seen["cycle_loss"], seen["identity_loss"]) == (0, 0)


def test_an_iteration_updates_all_players_once_with_adam():
    game, x = small(pool=False)
    g = game.gradients()
    game.add_gradients(x, {"A": (), "B": ()}, g)
    before = {name: game.network(name).theta.copy() for name in NAMES}
    game.play()
    for name in NAMES:  # the first step of Adam is lr sign(g), but for eps
        adam = game.players[name].optimizer
        assert adam.t == 1
        want = before[name] - adam.lr * g[name] / (np.abs(g[name]) + adam.eps)
        np.testing.assert_allclose(game.network(name).theta, want, rtol=1e-12)


def test_gradients_are_those_of_torch():
    """PyTorch's autograd of the published costs, on the same weights and batches."""
    torch = pytest.importorskip("torch")
    game, x = small(LeastSquares(g_scale=2.0), pool=False)
    g = game.gradients()
    game.add_gradients(x, {"A": (), "B": ()}, g)
    p = {
        name: {key: torch.tensor(value, requires_grad=True) for key, value in game.network(name).parameters().items()}
        for name in NAMES
    }
    run = {
        name: lambda z, q=q: torch.tanh(z @ q["0.W"] + q["0.b"]) @ q["2.W"] + q["2.b"] for name, q in p.items()
    }  # fmt: skip
    a, b = torch.tensor(x["A"]), torch.tensor(x["B"])
    ab, ba = run["G_AB"](a), run["G_BA"](b)
    mse, l1 = torch.nn.functional.mse_loss, torch.nn.functional.l1_loss
    one, zero = torch.ones(N, 1, dtype=torch.float64), torch.zeros(N, 1, dtype=torch.float64)
    J_G = mse(run["D_B"](ab), one) + mse(run["D_A"](ba), one)
    J_G = J_G + CYCLE * (l1(run["G_BA"](ab), a) + l1(run["G_AB"](ba), b))
    J_G = J_G + IDENTITY * (l1(run["G_AB"](b), b) + l1(run["G_BA"](a), a))
    J_D = sum(
        0.5 * (mse(run[name](real), one) + mse(run[name](fake.detach()), zero))
        for name, real, fake in (("D_A", a, ba), ("D_B", b, ab))
    )
    for cost, kind in ((J_G, "G"), (J_D, "D")):
        names = [name for name in NAMES if name.startswith(kind)]
        wanted = torch.autograd.grad(cost, [value for name in names for value in p[name].values()], retain_graph=True)
        got = [view for name in names for view in game.network(name).views(g[name]).values()]
        for mine, theirs in zip(got, wanted, strict=True):
            assert_tensor(mine, theirs.numpy(), gate=1e-13)


# --- the pool -------------------------------------------------------------------------------------


def pool_of(size, n, seed=0, ops="reference"):
    return ImagePool(size, (1,), n, rng=np.random.default_rng(seed), ops=get_ops(ops), dtype="float64")


@given(st.integers(1, 7), st.integers(1, 9), st.integers(0, 100))
def test_the_pool_treats_the_fakes_of_a_batch_one_after_another(size, n, seed):
    """An oracle with a list, as the published code has it, and the same random numbers."""
    pool, rng, stored, count = pool_of(size, n, seed), np.random.default_rng(seed), [], 0
    for _ in range(4):
        fakes = count + np.arange(n, dtype=float)[:, None]
        count += n
        swaps, places = rng.random(n) < 0.5, rng.integers(size, size=n)
        wanted = []
        for fake, swap, place in zip(fakes, swaps, places, strict=True):
            if len(stored) < size:
                stored.append(fake)
                wanted.append(fake)
            elif swap:
                wanted.append(stored[place])
                stored[place] = fake
            else:
                wanted.append(fake)
        np.testing.assert_array_equal(pool.exchange(fakes, pool.plan()), wanted)
        np.testing.assert_array_equal(pool.images[: pool.filled], stored)
        assert pool.filled == len(stored)


def test_half_of_what_d_sees_is_older():
    pool = pool_of(50, 100)
    shown = [pool.exchange(np.full((100, 1), float(k)), pool.plan()) for k in range(100)]
    old = np.mean([(one < k).mean() for k, one in enumerate(shown) if k > 5])
    assert 0.1 < old < 0.5  # about half of the swaps return fakes of the same batch of 100


def test_the_state_of_a_pool_is_restored():
    pool, other = pool_of(4, 3), pool_of(4, 3, seed=5)
    for k in range(5):
        pool.exchange(np.full((3, 1), float(k)), pool.plan())
    other.restore({key: np.copy(value) for key, value in pool.state().items()})
    other.rng.bit_generator.state = pool.rng.bit_generator.state
    fakes = np.full((3, 1), 9.0)
    for _ in range(3):
        np.testing.assert_array_equal(pool.exchange(fakes, pool.plan()), other.exchange(fakes, other.plan()))
    np.testing.assert_array_equal(pool.images, other.images)
    with pytest.raises(ValueError, match=r"the pool is float64 \(4, 1\); expected float64 \(5, 1\)"):
        pool_of(5, 3).restore(pool.state())


def test_what_a_pool_refuses():
    with pytest.raises(ValueError, match="size must be an int >= 1, got 0"):
        pool_of(0, 1)
    with pytest.raises(ShapeError, match=r"fakes have shape \(2, 1\); expected \(3, 1\)"):
        pool_of(2, 3).exchange(np.zeros((2, 1)), pool_of(2, 3).plan())


class TestRefused:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"distance": "l3"}, "unknown distance 'l3'"),
            ({"cycle": -1.0}, "cycle must be >= 0, got -1.0"),
            ({"identity": float("nan")}, "identity must be >= 0, got nan"),
        ],
    )
    def test_settings(self, change, message):
        game, x = small()
        with pytest.raises(ValueError, match=message):
            CycleGAN(game.players, OBJECTIVES[0], lambda: x["A"], lambda: x["B"], **change)

    def test_other_players(self):
        game, x = small()
        players = {name: player for name, player in game.players.items() if name != "D_A"}
        with pytest.raises(ValueError, match="players are G_AB, G_BA, D_B; expected G_AB, G_BA, D_A, D_B"):
            CycleGAN(players, OBJECTIVES[0], lambda: x["A"], lambda: x["B"])

    def test_an_objective_that_is_none(self):
        game, x = small()
        with pytest.raises(TypeError, match="objective of type str has no method discriminator"):
            CycleGAN(game.players, "least-squares", lambda: x["A"], lambda: x["B"])


# --- the layer of the eight positions ---------------------------------------------------------------


def test_the_positions_are_those_of_numpy():
    x = np.random.default_rng(0).standard_normal((2, 5, 5, 3))
    y = network(Symmetries())(x)
    assert y.shape == (2, *Symmetries().output_shape((5, 5, 3)))
    for k, (mirrored, turns) in enumerate(POSITIONS):
        want = np.rot90(np.flip(x, axis=2) if mirrored else x, turns, axes=(1, 2))
        np.testing.assert_array_equal(y[..., 3 * k : 3 * k + 3], want)
    flat = y.reshape(2, -1, 8, 3).transpose(2, 0, 1, 3).reshape(8, -1)
    assert len({part.tobytes() for part in flat}) == 8


@pytest.mark.parametrize("ops", ["reference", "cpu"])
@pytest.mark.parametrize("train", [False, True])
def test_the_gradient_of_the_layer(train, ops):
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 3, 3, 2)), rng.standard_normal((2, 3, 3, 16))
    net = network(Symmetries(), ops=ops)
    check_layer(net, x, dy, train=train)
    check_layer_direction(net, x, dy, rng.standard_normal(x.shape), np.zeros(0), train=train)


def test_the_pullback_is_the_adjoint_exactly():
    """<A x, y> = <x, A^T y> on integers; and A^T A is eight times the identity."""
    rng = np.random.default_rng(0)
    net = network(Symmetries())
    x, dy = rng.integers(-9, 9, (3, 4, 4, 2)).astype(float), rng.integers(-9, 9, (3, 4, 4, 16)).astype(float)
    y, backward = net.forward(x, train=True)
    assert (y * dy).sum() == (x * backward(dy)).sum()
    np.testing.assert_array_equal(backward(y), 8 * x)


def test_the_layer_is_rebuilt_and_refuses_rectangles():
    assert from_config(Symmetries().to_config()) == Symmetries()
    with pytest.raises(ShapeError, match=r"x has shape \(N, 2, 3, 1\); expected square images"):
        network(Symmetries())(np.zeros((1, 2, 3, 1)))
