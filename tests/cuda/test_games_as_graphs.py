"""Games other than a GAN as graphs: N replays give the bits of N iterations, or a warning says why not."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from emulated import NAME, NEEDS_HOST_COMPILER, ON_GPU

import minigan as mg
from minigan.gan import capturable
from minigan.gan.labels import network_input
from minigan.ops import get_ops, to_host
from minigan.ops.cuda.capture.iterations import CaptureWarning
from minigan.training import resume, train

sys.path.append(str(Path(__file__).parent.parent))
from cyclegan import CycleGAN, build

pytestmark = NEEDS_HOST_COMPILER


@pytest.fixture(autouse=True)
def silent():
    """Every iteration must be captured, unless a test expects the warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", CaptureWarning)
        yield


def ops(graphs):
    return get_ops("cuda", device=NAME, graphs=graphs)


def four(graphs):
    return build(n=8, dtype="float64", ops=ops(graphs)).game


def graph_of(game):
    return game.ops.iterations._find(game).captured


def numbers(game):
    """Return everything that an iteration changes."""
    found = []
    for player in game.players.values():
        found += [player.network.theta, player.network.state_vector, *player.optimizer.state.values()]
    return [to_host(x) for x in found], [player.optimizer.t for player in game.players.values()]


def same(a, b):
    """Compare bit for bit, or on a GPU, whose pow differs from the host's, to rounding."""
    return np.allclose(a, b, rtol=1e-9, atol=1e-12) if ON_GPU else np.array_equal(a, b)


def agree(one, other, iterations=5):
    """Play both games; return whether metrics, players and streams are the same after each iteration."""
    for _ in range(iterations):
        found, expected = ({**game.metrics(game.play())} for game in (one, other))
        (arrays, t), (also, s) = numbers(one), numbers(other)
        streams = [game.rng.bit_generator.state["state"] for game in (one, other) if game.rng is not None]
        assert found.keys() == expected.keys()
        if not all(same(a, b) for a, b in zip([*found.values(), *arrays], [*expected.values(), *also], strict=True)):
            return False
        if t != s or streams[1:] != streams[:-1]:
            return False
    return True


def test_four_players():
    one, other = four(graphs=True), four(graphs=False)
    version = one.network("G_BA").version
    assert agree(one, other)
    assert graph_of(one) is not None
    assert one.network("G_BA").version >= version + 5  # so that pullbacks of earlier iterations raise


def test_a_forgotten_player_is_detected(monkeypatch):
    one, other = four(graphs=True), four(graphs=False)
    monkeypatch.setattr("minigan.ops.cuda.capture.iterations._optimizers", lambda game: [
        player.optimizer for name, player in game.players.items() if name != "D_B"
    ])  # fmt: skip
    with pytest.warns(CaptureWarning, match=r"updates theta more often than the recorded one \(0 times\)"):
        agree(one, other)
    assert graph_of(one) is None


def test_resuming_a_run(tmp_path):
    kinds = {"n": 8, "dtype": "float64", "ops": ops(True)}
    complete, first, second = build(**kinds), build(**kinds), build(**kinds)
    train(complete, iterations=6)
    train(first, iterations=3, folder=tmp_path / "run", checkpoint_every=3)
    resume(second, tmp_path / "run", iterations=6)
    assert graph_of(second.game) is not None
    for a, b in zip(numbers(complete.game)[0], numbers(second.game)[0], strict=True):
        np.testing.assert_array_equal(a, b)


# --- tuples ---------------------------------------------------------------------------------------


def labelled(graphs, *, noise=None):
    rng, draws = np.random.default_rng(1), np.random.default_rng(3)
    G = mg.Network([mg.Dense(3 + 2, 6), mg.LeakyReLU(0.2), mg.Dense(6, 2)], rng=rng, dtype="float64", ops=ops(graphs))
    D = mg.Network([mg.Dense(2 + 2, 6), mg.Dropout(0.2), mg.Dense(6, 1)], rng=rng, dtype="float64", ops=ops(graphs))

    def batch(width, mean):
        return draws.normal(mean, 1, (8, width)), np.eye(2, dtype="uint8")[draws.integers(0, 2, 8)]

    return mg.GAN(
        G, D, mg.Adam(G), mg.Adam(D), mg.NonSaturating(), rng=np.random.default_rng(7),
        draws={"real": lambda: batch(2, 2.0), "noise": noise or (lambda: batch(3, 0.0))}, schedule=mg.alternating,
    )  # fmt: skip


def test_labels_of_images():
    x, y = np.random.default_rng(0).standard_normal((3, 5, 4, 1)), np.eye(3)
    nets = [
        mg.Network([mg.Dense(1, 1)], rng=np.random.default_rng(0), dtype="float64", ops=o) for o in ("cpu", ops(True))
    ]
    host, device = (network_input(net, (x, y)) for net in nets)
    np.testing.assert_array_equal(to_host(device), host)


def test_batches_with_labels():
    one, other = labelled(graphs=True), labelled(graphs=False)
    assert agree(one, other)
    assert graph_of(one) is not None


def test_another_number_of_arrays_makes_a_new_graph():
    """Arrays of another size make one too."""
    games = [Pairs({"F": mg.Player(F, mg.Adam(F))}) for F in (square(True), square(False))]
    rngs = [np.random.default_rng(0), np.random.default_rng(0)]
    graphs = []
    for count, n in ((1, 4), (2, 4), (2, 6)):
        for game, rng in zip(games, rngs, strict=True):
            game.draws["data"] = lambda rng=rng, n=n, count=count: tuple(
                rng.standard_normal((n, 2)) for _ in range(count)
            )
        assert agree(*games, 4)
        graphs.append(graph_of(games[0]))
    assert None not in graphs
    assert len({*map(id, graphs)}) == 3


def square(graphs):
    return mg.Network([mg.Dense(2, 2)], rng=np.random.default_rng(0), dtype="float64", ops=ops(graphs))


class Pairs(mg.Game):
    """A game that trains F on the sum of the arrays of a batch."""

    def iteration(self, data):
        g, batch = self.gradients(), data()
        y, backward = self.network("F").forward(sum(batch), train=True)
        backward(y / len(y), g["F"], need_dx=False)
        self.update(g)
        return {"loss": (y * y).sum()}


def test_a_batch_of_host_and_device_arrays_gives_a_warning():
    games = []
    for graphs in (True, False):
        draws, device = np.random.default_rng(5), ops(graphs).device
        games.append(
            labelled(graphs, noise=lambda draws=draws, device=device: (
                draws.standard_normal((8, 3)), device.array(np.eye(2)[draws.integers(0, 2, 8)])
            ))
        )  # fmt: skip
    games[1].metrics(games[1].play())
    with pytest.warns(CaptureWarning, match="noise has arrays of the host and of the device"):
        games[0].play()
    assert agree(*games, 3)
    assert graph_of(games[0]) is None


def test_a_draw_that_is_no_batch_is_refused():
    game = four(graphs=True)
    game.draws["b"] = lambda: 3
    with pytest.raises(TypeError, match="the draw 'b' returned int; expected an array or a tuple of arrays"):
        game.play()


# --- attributes of a game -------------------------------------------------------------------------


class Counting(CycleGAN):
    """A game with a weight that an iteration changes."""

    def iteration(self, a, b):
        self.weight = 0.5 * self.weight
        return super().iteration(a, b)


class Remembering(CycleGAN):
    """A game that keeps the last points of A in a list, which it changes in place."""

    def iteration(self, a, b):
        kept = self.kept = getattr(self, "kept", [])
        x = a()
        kept.append(x)
        return super().iteration(lambda: kept[-2:][0], b)


@pytest.mark.parametrize("kind", [Counting, Remembering])
def test_attributes_that_an_iteration_changes_are_not_frozen(kind):
    games = [four(graphs) for graphs in (True, False)]
    for game in games:
        game.__class__ = kind
    with pytest.warns(CaptureWarning, match="3 graphs were discarded, the last because the game or a draw has changed"):
        assert agree(*games, 10)
    assert games[0].weight == games[1].weight


def test_an_attribute_that_changes_between_iterations():
    games = [four(graphs) for graphs in (True, False)]
    assert agree(*games, 4)
    before = graph_of(games[0])
    for game in games:
        game.weight = 3.0
    assert agree(*games, 4)
    assert graph_of(games[0]) not in (None, before)


class Synchronising(Counting):
    """A game whose host waits for a number, so that it cannot be captured."""

    def iteration(self, a, b):
        found = super().iteration(a, b)
        return {**found, "read": float(found["d_loss"])}


def test_a_failed_capture_restores_the_attributes():
    games = [four(graphs) for graphs in (True, False)]
    for game in games:
        game.__class__ = Synchronising
    assert agree(*games, 1)
    with pytest.warns(CaptureWarning, match="step by step because it could not be captured"):
        assert agree(*games, 1)
    assert agree(*games, 2)
    assert games[0].weight == games[1].weight == 2.0**-4


# --- games within games ---------------------------------------------------------------------------


class Nested(mg.Game):
    """A game that plays another one, a GAN with its own random stream."""

    def __init__(self, inner):
        super().__init__(inner.players, draws=inner.draws, rng=np.random.default_rng(0))
        self.inner = inner

    def iteration(self, real, noise):
        return mg.alternating(self.inner, real, noise, k=1)

    def metrics(self, results):
        return self.inner.metrics(results)


def test_a_nested_game_gives_a_warning():
    games = [Nested(labelled(graphs)) for graphs in (True, False)]
    games[1].play()
    with pytest.warns(CaptureWarning, match="plays another game, or a schedule within its own"):
        games[0].play()
    assert agree(*games, 3)
    assert graph_of(games[0]) is None


def test_a_schedule_names_its_draws_and_counts():
    @capturable
    def pair(game, first, second, *, times=1):
        gradients = game.gradients()
        for _ in range(times):
            x, target = first(), second()
            y, backward = game.network("F").forward(x, train=True)
            backward(2 * (y - target) / y.size, gradients["F"], need_dx=False)
        game.update(gradients)
        return ((y - target) ** 2).sum()

    thetas = []
    for graphs in (True, False):
        rng = np.random.default_rng(0)
        F = mg.Network([mg.Dense(2, 2)], rng=rng, dtype="float64", ops=ops(graphs))
        game = mg.Game({"F": mg.Player(F, mg.Adam(F))})
        for _ in range(4):
            pair(game, lambda: rng.standard_normal((4, 2)), second=lambda: rng.standard_normal((4, 2)), times=2)  # noqa: B023
        thetas.append(to_host(F.theta))
        assert (graph_of(game) is not None) is graphs
    assert same(*thetas)
